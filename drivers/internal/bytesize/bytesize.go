// Package bytesize parses sizes in the options of drivers, such as "100mb". It promises one
// notation for all drivers. It has no state.
package bytesize

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// A kb is 1024 bytes, as for the sizes of memory modules; a kib is the same.
var units = []struct {
	suffix string
	bytes  uint64
}{
	{"kib", 1 << 10}, {"mib", 1 << 20}, {"gib", 1 << 30}, {"tib", 1 << 40},
	{"kb", 1 << 10}, {"mb", 1 << 20}, {"gb", 1 << 30}, {"tb", 1 << 40},
	{"b", 1}, {"", 1},
}

// ErrSize is wrapped by the errors of [Parse].
var ErrSize = errors.New(`want a positive integer followed by b, kb, mb, gb or tb, such as "100mb"`)

// Parse returns the number of bytes in text, at most [math.MaxInt64]; 0 if text is empty.
// Its error begins with the name of the option.
func Parse(option, text string) (uint64, error) {
	if text == "" {
		return 0, nil
	}
	s := strings.ToLower(strings.TrimSpace(text))
	for _, u := range units {
		digits, ok := strings.CutSuffix(s, u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(strings.TrimSpace(digits), 10, 63)
		if err != nil || n == 0 || n > math.MaxInt64/u.bytes {
			break
		}
		return n * u.bytes, nil
	}
	return 0, fmt.Errorf("%s %q: %w", option, text, ErrSize)
}
