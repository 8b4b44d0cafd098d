package demo

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cachegen/cachegen/example/users"
)

// table prints one line for each step and checks it. After the first step that
// fails, the others are left out.
type table struct {
	out     io.Writer
	queries func() (int64, error) // how many statements the database has had so far
	lines   int
	err     error // of the line that failed
}

// A result is what a step shows: what the service answered, and how long it took.
type result struct{ answer, time string }

// Widths of columns.
const (
	whatWidth   = 55
	answerWidth = 31
)

func (t *table) head(about string) {
	fmt.Fprintf(t.out, "%s\n\n", about)
	t.print("    ", "what happens", "the service answers", "SQL", "time")
	fmt.Fprintln(t.out, strings.Repeat("─", whatWidth+answerWidth+32))
}

func (t *table) print(number, what, answer, sent, time string) {
	line := fmt.Sprintf("%s%s %s %3s   %s", number, pad(what, whatWidth), pad(answer, answerWidth), sent, time)
	fmt.Fprintln(t.out, strings.TrimRight(line, " "))
}

// line runs a step, which fails if it returns an error or has sent another number
// of statements to the database than queries says.
func (t *table) line(what string, queries int64, step func() (result, error)) {
	if t.err != nil {
		return
	}
	t.lines++
	r, sent, err := t.run(queries, step)
	if err != nil {
		t.err = fmt.Errorf("check %d failed: %s: %w", t.lines, what, err)
		r.answer = "FAILED"
	}
	t.print(fmt.Sprintf("%2d  ", t.lines), what, r.answer, fmt.Sprint(sent), r.time)
}

func (t *table) run(queries int64, step func() (result, error)) (r result, sent int64, err error) {
	before, err := t.queries()
	if err != nil {
		return r, 0, err
	}
	if r, err = step(); err != nil {
		return r, 0, err
	}
	after, err := t.queries()
	if err != nil {
		return r, 0, err
	}
	sent = after - before
	return r, sent, same("statements sent to the database", sent, queries)
}

// end prints the last line, or returns what has failed.
func (t *table) end() error {
	if t.err == nil {
		fmt.Fprintf(t.out, "\ndemo: all %d checks passed\n", t.lines)
	}
	return t.err
}

// same is the error that got is not want.
func same[T comparable](what string, got, want T) error {
	if got == want {
		return nil
	}
	return fmt.Errorf("%s: got %v, want %v", what, got, want)
}

// sameUser is [same] for users: times are equal in any zone.
func sameUser(got, want users.User) error {
	if got.Created.Equal(want.Created) {
		got.Created = want.Created
	}
	return same("user", got, want)
}

// pad fills s with spaces; a width in a format would count it as bytes.
func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(s)))
}

// round gives d three significant digits or so.
func round(d time.Duration) string {
	switch {
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	case d >= 10*time.Microsecond:
		return d.Round(time.Microsecond).String()
	}
	return d.Round(10 * time.Nanosecond).String()
}

// thousands writes n below a million with a comma: 10,000.
func thousands(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%d,%03d", n/1000, n%1000)
}

// times says how many times as long slow is.
func times(slow, fast time.Duration) string {
	ratio := float64(slow) / float64(max(fast, 1))
	if ratio < 10 {
		return fmt.Sprintf("%.1f×", ratio)
	}
	return fmt.Sprintf("%.0f×", ratio)
}
