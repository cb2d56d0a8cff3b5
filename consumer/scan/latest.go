package scan

// Latest cuts ranges down to about n offsets in all, the last ones of each: to
// every range its share by size, and at least one offset.
func Latest(ranges []Range, n int64) []Range {
	var total int64
	for _, r := range ranges {
		total += r.Size()
	}
	latest := make([]Range, 0, len(ranges))
	for _, r := range ranges {
		if total > n {
			share := int64(float64(r.Size()) / float64(total) * float64(n))
			r.From = max(r.From, r.To-max(share, 1))
		}
		latest = append(latest, r)
	}
	return latest
}
