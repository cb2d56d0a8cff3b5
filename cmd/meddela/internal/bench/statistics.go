package bench

import (
	"math"
	"slices"
)

// quantile is the value below which a share q of the values lies, by the
// nearest rank; 0 of none.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	rank := int(math.Ceil(q * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// median is the middle value, or the mean of the two in the middle.
func median(values []float64) float64 {
	n := len(values)
	if n == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

func mean(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

// slope is how much the values grow from one to the next: the median of the
// slopes between any two of them (Theil and Sen). A surge that passes does not
// move it, wherever it is; a steady growth does.
func slope(values []float64) float64 {
	var slopes []float64
	for i, from := range values {
		for j := i + 1; j < len(values); j++ {
			slopes = append(slopes, (values[j]-from)/float64(j-i))
		}
	}
	return median(slopes)
}
