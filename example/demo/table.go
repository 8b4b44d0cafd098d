package demo

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cachegen/cachegen/example/service"
	"github.com/cachegen/cachegen/example/users"
)

// table prints one line for each step and checks it. After the first step that
// fails, the others are left out.
type table struct {
	out   io.Writer
	count func() (counts, error) // what happened so far
	lines int
	err   error // of the line that failed
}

// counts are of statements sent to the database and reads of the second tier.
type counts struct{ sql, l2 int64 }

func (c counts) plus(s service.Stats) counts {
	return counts{c.sql + s.Queries, c.l2 + s.SharedReads}
}

// A cost is what a step has to take.
type cost struct {
	sql int64             // statements, exactly
	l2  func(int64) error // refuses a wrong number of reads of the second tier; nil takes any
}

func (c cost) check(got counts) error {
	err := same("statements sent to the database", got.sql, c.sql)
	if err == nil && c.l2 != nil {
		err = c.l2(got.l2)
	}
	return err
}

// noReads holds for what memory answers.
func noReads(got int64) error { return same("reads of the second tier", got, 0) }

// readsOf holds for n values that are not in memory.
func readsOf(n int) func(int64) error {
	return func(got int64) error {
		if got >= int64(n) {
			return nil
		}
		return fmt.Errorf("reads of the second tier: got %d, want at least %d", got, n)
	}
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
	t.print("    ", "what happens", "the service answers", "SQL", "L2", "time")
	fmt.Fprintln(t.out, strings.Repeat("─", whatWidth+answerWidth+36))
}

func (t *table) print(number, what, answer, sql, l2, time string) {
	line := fmt.Sprintf("%s%s %s %3s %3s   %s", number, pad(what, whatWidth), pad(answer, answerWidth), sql, l2, time)
	fmt.Fprintln(t.out, strings.TrimRight(line, " "))
}

// line runs a step, which fails if it returns an error or takes something else
// than want. What it took is shown all the same.
func (t *table) line(what string, want cost, step func() (result, error)) {
	if t.err != nil {
		return
	}
	t.lines++
	r, sql, l2, err := t.run(want, step)
	if err != nil {
		t.err = fmt.Errorf("check %d failed: %s: %s", t.lines, what, oneLine(err))
		r = result{answer: "FAILED"}
	}
	t.print(fmt.Sprintf("%2d  ", t.lines), what, r.answer, sql, l2, r.time)
}

func (t *table) run(want cost, step func() (result, error)) (r result, sql, l2 string, err error) {
	before, err := t.count()
	if err != nil {
		return r, unknownCount, unknownCount, err
	}
	r, failed := step()
	after, err := t.count()
	if err != nil {
		return r, unknownCount, unknownCount, cmp.Or(failed, err)
	}
	took := counts{after.sql - before.sql, after.l2 - before.l2}
	return r, fmt.Sprint(took.sql), fmt.Sprint(took.l2), cmp.Or(failed, want.check(took))
}

// unknownCount is shown where the service does not say what it has done.
const unknownCount = "–"

// oneLine is the text of an error that may be joined from several.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

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
