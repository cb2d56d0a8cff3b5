// Package nearest says which word was probably meant.
package nearest

// Word returns the known word that a word is most likely a misspelling of:
// about a third of it may differ. It is empty when none is near enough.
func Word(word string, known []string) string {
	best, least := "", len(word)/3+1
	for _, k := range known {
		if d := distance(word, k); d < least {
			best, least = k, d
		}
	}
	return best
}

// DidYouMean is a hint to put behind a message; empty when no known word is near.
func DidYouMean(word string, known []string) string {
	if near := Word(word, known); near != "" {
		return ": did you mean " + near + "?"
	}
	return ""
}

// distance is how many bytes must be inserted, deleted, replaced, or swapped
// with their neighbour to make b of a.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			replaced := last[j-1]
			if a[i-1] != b[j-1] {
				replaced++
			}
			row[j] = min(replaced, last[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
