package config

import "strings"

// Nearest returns the candidate that word probably means, or the empty string if none is close: one with few letters
// of difference, else one of which word is a part or an abbreviation (max_conns for max_connections), or the other way
// round (io_uring for uring).
func Nearest(word string, candidates []string) string {
	if near := fewestEdits(word, candidates); near != "" {
		return near
	}
	for _, c := range candidates {
		if abbreviates(word, c) || len(c) >= minPart && strings.Contains(word, c) {
			return c
		}
	}
	return ""
}

// minPart is how many bytes a word must have to be taken for a part or an abbreviation of a longer one.
const minPart = 4

// abbreviates reports whether word has the letters of full in their order, from the first one on.
func abbreviates(word, full string) bool {
	if len(word) < minPart || full == "" || word[0] != full[0] {
		return false
	}
	rest := full
	for i := range len(word) {
		at := strings.IndexByte(rest, word[i])
		if at < 0 {
			return false
		}
		rest = rest[at+1:]
	}
	return true
}

// fewestEdits is the candidate with the fewest letters of difference: at most a third of those of word, and one at least.
func fewestEdits(word string, candidates []string) string {
	best, bestDistance := "", max(1, len(word)/3)+1
	for _, c := range candidates {
		if d := distance(word, c); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}

// distance is the number of letters to insert, delete, replace or swap with the next one to get from a to b. Texts of
// more than 64 bytes are not compared.
func distance(a, b string) int {
	a, b = strings.ToLower(a), strings.ToLower(b)
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
