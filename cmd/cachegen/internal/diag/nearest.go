package diag

import "strings"

// Nearest returns the candidate that word was most likely meant to be. There is
// none if every candidate differs in more than a third of word's letters (but a
// difference of one letter, of two neighbours that are swapped, or of case alone
// is always near). Among equally near ones the first wins.
func Nearest(word string, candidates []string) (string, bool) {
	best, found := "", false
	limit := max(1, len([]rune(word))/3)
	for _, c := range candidates {
		if c == "" {
			continue
		}
		d := distance(strings.ToLower(word), strings.ToLower(c))
		if d <= limit && (d > 0 || c != word) && d < len([]rune(c)) {
			best, found, limit = c, true, d-1
			if d == 0 {
				break
			}
		}
	}
	return best, found
}

// distance is the number of letters to insert, remove, replace or swap with their
// neighbour that turn a into b (optimal string alignment).
func distance(a, b string) int {
	s, t := []rune(a), []rune(b)
	before := make([]int, len(t)+1) // row i-2
	last := make([]int, len(t)+1)   // row i-1
	row := make([]int, len(t)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(s); i++ {
		row[0] = i
		for j := 1; j <= len(t); j++ {
			change := 1
			if s[i-1] == t[j-1] {
				change = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+change)
			if i > 1 && j > 1 && s[i-1] == t[j-2] && s[i-2] == t[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(t)]
}
