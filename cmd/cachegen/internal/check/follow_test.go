package check

import (
	"bytes"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/load/loadtest"
)

// Kind: a hint that does not hold. What a hint names is written into the sources, and the check is run again: it is
// accepted, or refused for another reason, and no row of hints leads back to where it began. The sources are those of the
// command's scripts, and of the script hints_follow.txtar for what no other has.
func TestHintsHold(t *testing.T) {
	scripts, err := filepath.Glob("../../testdata/script/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	applied := map[string]int{}
	for _, script := range scripts {
		archive, err := txtar.ParseFile(script)
		if err != nil {
			t.Fatal(err)
		}
		sources := &txtar.Archive{}
		for _, f := range archive.Files {
			if filepath.Ext(f.Name) == ".go" {
				sources.Files = append(sources.Files, f)
			}
		}
		f := &follower{t: t, script: filepath.Base(script), applied: applied}
		for _, d := range problems(t, sources) {
			f.follow(sources, d, nil)
		}
	}
	for _, a := range advices {
		if applied[a.name] == 0 {
			t.Errorf("no script has a hint of the form %q", a.name)
		}
	}
}

// A problem is a diagnostic as it is told, with what it takes to edit the sources.
type problem struct {
	*diag.Diagnostic
	edits []edit
}

// An edit replaces bytes of a file.
type edit struct {
	file       string
	start, end int
	text       string
}

func problems(t *testing.T, archive *txtar.Archive) (found []problem) {
	var list diag.List
	loaded := loadtest.Packages(t, archive, &list)
	(&run{}).check(loaded, &list)
	for _, d := range list.All() {
		p := problem{Diagnostic: d}
		for _, e := range d.Edits {
			if len(loaded) == 0 {
				break // only directives have been read
			}
			at := loaded[0].Fset.PositionFor(e.Pos, false)
			p.edits = append(p.edits, edit{at.Filename, at.Offset, at.Offset + len(e.Old), e.New})
		}
		found = append(found, p)
	}
	return found
}

// A follower does what hints say.
type follower struct {
	t       *testing.T
	script  string
	applied map[string]int // by form of advice
}

// follow does what each hint of a problem says, and what the hints of what is reported then say.
func (f *follower) follow(archive *txtar.Archive, d problem, before []string) {
	if len(before) > 4 {
		return
	}
	text := textOf(archive, d.Pos.Filename)
	if slices.Contains(before, text) {
		f.t.Errorf("%s: the hints for %q lead back to where they began:\n%s", f.script, d.Message, strings.Join(d.Hints, "\n"))
		return
	}
	for _, hint := range d.Hints {
		for _, a := range advices {
			m := a.hint.FindStringSubmatch(hint)
			if m == nil {
				continue
			}
			for _, next := range a.apply(archive, d, m) {
				if next == nil {
					continue
				}
				f.applied[a.name]++
				after := problems(f.t, next)
				if occurrences(after, d) >= occurrences(problems(f.t, archive), d) {
					f.t.Errorf("%s:%d:%d: %q is reported still after its hint has been followed: %s", f.script, d.Pos.Line, d.Pos.Column, d.Message, hint)
					continue
				}
				for _, other := range after {
					if other.Pos.Filename == d.Pos.Filename && other.Pos.Line == d.Pos.Line && other.Code == d.Code {
						f.follow(next, other, append(slices.Clone(before), text))
					}
				}
			}
		}
	}
}

// occurrences is how often something is reported in one file.
func occurrences(list []problem, d problem) (n int) {
	for _, other := range list {
		if other.Message == d.Message && other.Pos.Filename == d.Pos.Filename {
			n++
		}
	}
	return n
}

func textOf(archive *txtar.Archive, name string) string {
	for _, f := range archive.Files {
		if "/"+f.Name == name {
			return string(f.Data)
		}
	}
	return ""
}

// An advice is a form of hints that name what to write.
type advice struct {
	name  string
	hint  *regexp.Regexp
	apply func(archive *txtar.Archive, d problem, m []string) []*txtar.Archive
}

var advices = []advice{
	{"an edit", regexp.MustCompile(`.`), func(a *txtar.Archive, d problem, _ []string) []*txtar.Archive {
		if len(d.edits) == 0 {
			return nil
		}
		return []*txtar.Archive{edited(a, d.edits...)}
	}},
	{"write ignore=", regexp.MustCompile(`(?:^|is intended, |value does not depend on it, )write (ignore=[\pL\pN_.]+)(?:$|:)`), func(a *txtar.Archive, d problem, m []string) []*txtar.Archive {
		if m[1] == "ignore=param" {
			return nil
		}
		return appended(a, d, m)
	}},
	{"take it out of the key", regexp.MustCompile(`take (\{\S+\}) out of the key and write (ignore=\S+)$`), func(a *txtar.Archive, d problem, m []string) []*txtar.Archive {
		line, start := directiveLine(a, d)
		i := strings.Index(line, m[1])
		if i < 0 {
			return nil
		}
		a = edited(a, edit{d.Pos.Filename, start + i, start + i + len(m[1]), "x"})
		return appended(a, d, m[1:])
	}},
	{"write collect", regexp.MustCompile(`write (collect)\b`), appended},
	{"write allow=", regexp.MustCompile(`write (allow=\w+)`), appended},
	{"write grace=0", regexp.MustCompile(`write (grace=0)(?:,|$)`), func(a *txtar.Archive, d problem, m []string) []*txtar.Archive {
		line, start := directiveLine(a, d)
		options := regexp.MustCompile(` (grace|refresh|gracebackoff|timeout)=\S+`)
		return []*txtar.Archive{edited(a, edit{d.Pos.Filename, start, start + len(line), options.ReplaceAllString(line, "") + " " + m[1]})}
	}},
	{"name=", regexp.MustCompile(`such as (name=\w+)$`), func(a *txtar.Archive, d problem, m []string) []*txtar.Archive {
		line, start := directiveLine(a, d)
		if i := regexp.MustCompile(` name=\S+`).FindStringIndex(line); i != nil {
			return []*txtar.Archive{edited(a, edit{d.Pos.Filename, start + i[0], start + i[1], " " + m[1]})}
		}
		return appended(a, d, m)
	}},
	{"add to the key", regexp.MustCompile(`add (\{[\pL\pN_.]+\}) to the key`), func(a *txtar.Archive, d problem, m []string) []*txtar.Archive {
		line, start := directiveLine(a, d)
		i := regexp.MustCompile(`^//cache:getorset \S+`).FindStringIndex(line)
		if i == nil {
			return nil
		}
		return []*txtar.Archive{edited(a, edit{d.Pos.Filename, start + i[1], start + i[1], ":" + m[1]})}
	}},
	{"available", regexp.MustCompile(`^available: ([\pL\pN_, …]+)$`), func(a *txtar.Archive, d problem, m []string) (list []*txtar.Archive) {
		at := offset(a, d)
		word := regexp.MustCompile(`^[\pL_][\pL\pN_]*`).FindString(textOf(a, d.Pos.Filename)[at:])
		if word == "" || d.Code == diag.Option {
			return nil
		}
		for name := range strings.SplitSeq(strings.TrimSuffix(m[1], ", …"), ", ") {
			list = append(list, edited(a, edit{d.Pos.Filename, at, at + len(word), name}))
		}
		return list
	}},
	{"name … alone", regexp.MustCompile(`name ([\pL\pN_.]+) alone`), inPlaceholder},
	{"name a field", regexp.MustCompile(`name (?:a field|its fields), such as \{([\pL\pN_.]+)\}`), inPlaceholder},
	{"remove it", regexp.MustCompile(`(?:^|, or |^or )remove (it|notfound)\b`), func(a *txtar.Archive, d problem, _ []string) []*txtar.Archive {
		line, start := directiveLine(a, d)
		at := offset(a, d) - start
		if at < len("//cache:") || at >= len(line) {
			return nil
		}
		begin, end := strings.LastIndexByte(line[:at+1], ' '), len(line)
		if i := strings.IndexByte(line[at:], ' '); i >= 0 {
			end = at + i
		}
		if begin < 0 || strings.ContainsAny(line[begin:end], "\"`(") {
			return nil
		}
		return []*txtar.Archive{edited(a, edit{d.Pos.Filename, start + begin, start + end, ""})}
	}},
	{"write a target", regexp.MustCompile(`write ([\pL\pN_.]+\([^ ]*\)(?:\.\.\.)?)$`), func(a *txtar.Archive, d problem, m []string) []*txtar.Archive {
		at := offset(a, d)
		word := regexp.MustCompile(`^[\pL_][\pL\pN_.]*(\([^ ]*\))?`).FindString(textOf(a, d.Pos.Filename)[at:])
		if word == "" {
			return nil
		}
		return []*txtar.Archive{edited(a, edit{d.Pos.Filename, at, at + len(word), m[1]})}
	}},
	{"write //cache:delete", regexp.MustCompile(`write //cache:(delete) \S+$`), func(a *txtar.Archive, d problem, m []string) []*txtar.Archive {
		line, start := directiveLine(a, d)
		if strings.Count(line, " ") != 1 || d.Code != diag.Target {
			return nil
		}
		end := strings.IndexByte(line+" ", ' ')
		return []*txtar.Archive{edited(a, edit{d.Pos.Filename, start + len("//cache:"), start + end, m[1]})}
	}},
}

// appended adds an option to the directive.
func appended(a *txtar.Archive, d problem, m []string) []*txtar.Archive {
	line, start := directiveLine(a, d)
	if line == "" {
		return nil
	}
	return []*txtar.Archive{edited(a, edit{d.Pos.Filename, start + len(line), start + len(line), " " + m[1]})}
}

// inPlaceholder replaces what is in the braces around the problem.
func inPlaceholder(a *txtar.Archive, d problem, m []string) []*txtar.Archive {
	text, at := textOf(a, d.Pos.Filename), offset(a, d)
	open := strings.LastIndexByte(text[:at+1], '{')
	end := strings.IndexAny(text[at:], "}\n")
	if open < 0 || strings.Contains(text[open:at], "\n") || end < 0 || text[at+end] == '\n' {
		return nil
	}
	return []*txtar.Archive{edited(a, edit{d.Pos.Filename, open + 1, at + end, m[1]})}
}

// offset is where a problem is in its file.
func offset(a *txtar.Archive, d problem) int {
	at := 0
	text := textOf(a, d.Pos.Filename)
	for range d.Pos.Line - 1 {
		at += strings.IndexByte(text[at:], '\n') + 1
	}
	return min(at+d.Pos.Column-1, max(len(text)-1, 0))
}

// directiveLine is the line of the directive that a problem is about, and where it begins: its own, or the last one above.
func directiveLine(a *txtar.Archive, d problem) (line string, start int) {
	text := textOf(a, d.Pos.Filename)
	at := offset(a, d)
	end := at + strings.IndexByte(text[at:]+"\n", '\n')
	i := -1
	for _, verb := range []string{"getorset", "batch", "set", "delete", "expire", "clear"} {
		i = max(i, strings.LastIndex(text[:end], "\n//cache:"+verb))
	}
	if own := strings.LastIndexByte(text[:at], '\n'); strings.HasPrefix(text[own+1:], "//cache:") {
		i = own
	}
	if i < 0 {
		return "", 0
	}
	line, _, _ = strings.Cut(text[i+1:], "\n")
	return line, i + 1
}

// edited is a copy of an archive with changes in one file.
func edited(a *txtar.Archive, edits ...edit) *txtar.Archive {
	out := &txtar.Archive{Files: slices.Clone(a.Files)}
	for i, f := range out.Files {
		data := bytes.Clone(f.Data)
		slices.SortFunc(edits, func(a, b edit) int { return b.start - a.start })
		for _, e := range edits {
			if "/"+f.Name == e.file {
				data = fmt.Appendf(nil, "%s%s%s", data[:e.start], e.text, data[e.end:])
			}
		}
		out.Files[i].Data = data
	}
	return out
}
