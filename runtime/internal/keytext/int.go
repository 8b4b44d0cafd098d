package keytext

import "strconv"

// TrailingInt finds the integer that makes up the last segment of a key's text. Only
// the form that strconv writes counts, so that a number and its text are the same key.
func TrailingInt(text string) (prefix int, n int64, ok bool) {
	i := len(text)
	for i > 0 && len(text)-i <= 19 && text[i-1] >= '0' && text[i-1] <= '9' {
		i--
	}
	digits := text[i:]
	if digits == "" || len(digits) > 1 && digits[0] == '0' {
		return 0, 0, false
	}
	if i > 0 && text[i-1] == '-' {
		if digits == "0" {
			return 0, 0, false
		}
		i--
	}
	if i > 0 && text[i-1] != ':' {
		return 0, 0, false
	}
	n, err := strconv.ParseInt(text[i:], 10, 64)
	return i, n, err == nil
}
