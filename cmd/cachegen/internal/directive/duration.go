package directive

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Forever is the duration of ttl=forever. It compares greater than every other.
const Forever = time.Duration(math.MaxInt64)

// ParseDuration parses Go's durations extended by d (24 hours) and w (7 days), as
// in 1w2d12h, and, if forever is true, the word forever. Negative durations are errors,
// and so is zero where forever is possible; elsewhere it switches off what a default says.
func ParseDuration(text string, forever bool) (time.Duration, error) {
	if text == "forever" {
		if !forever {
			return 0, errors.New("only ttl can be forever")
		}
		return Forever, nil
	}
	if strings.ContainsAny(text, "+-") {
		return 0, fmt.Errorf("duration %q must not have a sign", text)
	}
	rest, total := text, time.Duration(0)
	for _, unit := range []struct {
		name string
		size time.Duration
	}{{"w", 7 * 24 * time.Hour}, {"d", 24 * time.Hour}} {
		number, after, found := strings.Cut(rest, unit.name)
		if !found {
			continue
		}
		n, err := strconv.ParseUint(number, 10, 31)
		if err != nil {
			return 0, fmt.Errorf("invalid duration %q", text)
		}
		if n > uint64((Forever-1-total)/unit.size) {
			return 0, fmt.Errorf("duration %q is longer than 292 years", text)
		}
		total += time.Duration(n) * unit.size
		rest = after
	}
	if rest != "" || text == "" {
		d, err := time.ParseDuration(rest)
		if err != nil {
			return 0, fmt.Errorf("invalid duration %q", text)
		}
		if d > Forever-1-total {
			return 0, fmt.Errorf("duration %q is longer than 292 years", text)
		}
		total += d
	}
	if total == 0 && forever {
		return 0, fmt.Errorf("duration %q is not greater than zero", text)
	}
	return total, nil
}
