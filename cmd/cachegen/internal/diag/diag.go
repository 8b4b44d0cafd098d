// Package diag collects the problems that the generator finds and prints them in
// the form that compilers use, so that every editor can jump to them:
//
//	users/user_repo.go:31:13: no parameter "uid" in FindUser [placeholder]
//		did you mean "id"?
package diag

import (
	"cmp"
	"fmt"
	"go/token"
	"io"
	"path/filepath"
	"slices"
	"strings"
)

// A Diagnostic is one problem at one place.
type Diagnostic struct {
	Warning bool      // code is generated all the same
	At      token.Pos // the same as Pos, where that is a file that was parsed
	Pos     token.Position
	Code    Code
	Message string // lower case, without a full stop
	Hints   []string
	Related []Related
	Edits   []Edit // that correct it, if it is clear what was meant
}

// Related is another place that takes part in the problem.
type Related struct {
	Pos     token.Position
	Message string
}

// Hintf adds a line that says what to do, and returns d.
func (d *Diagnostic) Hintf(format string, args ...any) *Diagnostic {
	d.Hints = append(d.Hints, fmt.Sprintf(format, args...))
	return d
}

// Suggest adds "did you mean …?" if one of candidates is close to word, and returns d. If
// word is the text at d's position, replacing it is an edit that corrects the problem.
func (d *Diagnostic) Suggest(word string, candidates []string) *Diagnostic {
	if near, ok := Nearest(word, candidates); ok {
		d.Hintf("did you mean %q?", near)
		d.Replace(d.At, word, near)
	}
	return d
}

// Choose is Suggest with another hint if nothing is close to word: the candidates, or otherwise if
// there are none.
func (d *Diagnostic) Choose(word string, candidates []string, otherwise string) *Diagnostic {
	if _, ok := Nearest(word, candidates); ok {
		return d.Suggest(word, candidates)
	}
	if len(candidates) == 0 {
		return d.Hintf("%s", otherwise)
	}
	rest := ""
	if len(candidates) > choices {
		candidates, rest = candidates[:choices], ", …"
	}
	return d.Hintf("available: %s%s", strings.Join(candidates, ", "), rest)
}

// choices is how many candidates a hint names.
const choices = 10

// Relatedf adds another place that takes part in the problem, and returns d.
func (d *Diagnostic) Relatedf(pos token.Position, format string, args ...any) *Diagnostic {
	d.Related = append(d.Related, Related{Pos: pos, Message: fmt.Sprintf(format, args...)})
	return d
}

// A List collects diagnostics. The zero List is empty. It is not safe for
// concurrent use.
type List struct {
	items []*Diagnostic
}

// Add appends d.
func (l *List) Add(d Diagnostic) { l.items = append(l.items, &d) }

// Addf appends a diagnostic and returns it, so that hints can be added.
func (l *List) Addf(pos token.Position, code Code, format string, args ...any) *Diagnostic {
	d := &Diagnostic{Pos: pos, Code: code, Message: fmt.Sprintf(format, args...)}
	l.items = append(l.items, d)
	return d
}

// Warnf is Addf for a warning: code is generated all the same.
func (l *List) Warnf(pos token.Position, code Code, format string, args ...any) *Diagnostic {
	d := l.Addf(pos, code, format, args...)
	d.Warning = true
	return d
}

// Errors is the number of diagnostics that are not warnings.
func (l *List) Errors() int {
	n := 0
	for _, d := range l.items {
		if !d.Warning {
			n++
		}
	}
	return n
}

// Append adds everything that other holds.
func (l *List) Append(other *List) { l.items = append(l.items, other.items...) }

// Len is the number of diagnostics, those that Print leaves out as repeated included.
func (l *List) Len() int { return len(l.items) }

// Since returns what was added after the list's length was n, oldest first.
func (l *List) Since(n int) []*Diagnostic { return l.items[n:] }

// In reports whether an error is about a file of directory dir. The files of
// the diagnostics and dir have to be both absolute or both relative.
func (l *List) In(dir string) bool {
	return slices.ContainsFunc(l.items, func(d *Diagnostic) bool {
		return !d.Warning && filepath.Dir(d.Pos.Filename) == filepath.Clean(dir)
	})
}

// All returns the diagnostics sorted by position, each once.
func (l *List) All() []*Diagnostic {
	all := slices.Clone(l.items)
	slices.SortStableFunc(all, func(a, b *Diagnostic) int {
		return cmp.Or(
			comparePositions(a.Pos, b.Pos),
			strings.Compare(a.Code.name, b.Code.name),
			cmp.Compare(a.Message, b.Message),
		)
	})
	return slices.CompactFunc(all, func(a, b *Diagnostic) bool {
		return a.Pos == b.Pos && a.Code == b.Code && a.Message == b.Message
	})
}

func comparePositions(a, b token.Position) int {
	return cmp.Or(
		cmp.Compare(a.Filename, b.Filename),
		cmp.Compare(a.Line, b.Line),
		cmp.Compare(a.Column, b.Column),
	)
}

// Print writes the diagnostics sorted by position, with file names relative to dir
// where that is shorter. Hints and related places follow, indented by a tab.
func (l *List) Print(w io.Writer, dir string) error {
	var b strings.Builder
	for _, d := range l.All() {
		kind := ""
		if d.Warning {
			kind = "warning: "
		}
		fmt.Fprintf(&b, "%s: %s%s [%s]\n", place(d.Pos, dir), kind, d.Message, d.Code)
		for _, r := range d.Related {
			fmt.Fprintf(&b, "\t%s: %s\n", place(r.Pos, dir), r.Message)
		}
		for _, h := range d.Hints {
			fmt.Fprintf(&b, "\t%s\n", h)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func place(pos token.Position, dir string) string {
	pos.Filename = Relative(pos.Filename, dir)
	return pos.String()
}

// Relative returns name relative to dir, or name itself if that is shorter or
// there is no relative name.
func Relative(name, dir string) string {
	rel, err := filepath.Rel(dir, name)
	if err != nil || len(rel) >= len(name) {
		return name
	}
	return rel
}
