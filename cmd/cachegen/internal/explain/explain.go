// Package explain holds the reference of diagnostics: for each code a page that says what it means,
// with an example that gets it and one that does not.
//
// It promises a page for every code, and that the examples do what the page says: tests of the
// command run them. What the rules of package check ask for is taken from their table, so that the
// reference cannot forget one. The package prints; it checks nothing.
package explain

import (
	"embed"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"golang.org/x/tools/txtar"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/check"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
)

// pages are archives: the text, then the files of the examples, wrong/* and right/*, and what is
// reported of the wrong one.
//
//go:embed pages/*.txtar
var pages embed.FS

// A Page explains a code.
type Page struct {
	Code diag.Code
	Text string // paragraphs, with the line breaks of the file
	// Wrong is an example that gets the code, and Right one that gets none: files of a package, with
	// names relative to it.
	Wrong, Right []txtar.File
	Report       string   // what is reported of Wrong, as it is printed
	Rules        []string // what the rules that report the code ask for
}

// Codes returns the names of the codes that have a page, sorted.
func Codes() ([]string, error) {
	entries, err := pages.ReadDir("pages")
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), path.Ext(e.Name())))
	}
	slices.Sort(names)
	return names, nil
}

// Read returns the page of a code.
func Read(code diag.Code) (*Page, error) {
	data, err := pages.ReadFile("pages/" + code.String() + ".txtar")
	if err != nil {
		return nil, fmt.Errorf("read the page of %s: %w", code, err)
	}
	archive := txtar.Parse(data)
	p := &Page{Code: code, Text: strings.TrimSpace(string(archive.Comment)), Rules: check.Asks(code)}
	for _, f := range archive.Files {
		dir, name := path.Split(f.Name)
		example := txtar.File{Name: name, Data: f.Data}
		switch {
		case dir == "wrong/":
			p.Wrong = append(p.Wrong, example)
		case dir == "right/":
			p.Right = append(p.Right, example)
		case f.Name == "report":
			p.Report = string(f.Data)
		default:
			return nil, fmt.Errorf("read the page of %s: unexpected file %s", code, f.Name)
		}
	}
	return p, nil
}

// Print writes the page as text.
func (p *Page) Print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n\n%s\n", p.Code, p.Code.About(), p.Text)
	section := func(title string, files ...txtar.File) {
		fmt.Fprintf(&b, "\n%s:\n", title)
		for _, f := range files {
			b.WriteByte('\n')
			if len(files) > 1 {
				fmt.Fprintf(&b, "    -- %s --\n", f.Name)
			}
			indent(&b, string(f.Data))
		}
	}
	section("Wrong", p.Wrong...)
	section("What cachegen reports", txtar.File{Data: []byte(p.Report)})
	section("Right", p.Right...)
	if len(p.Rules) > 0 {
		b.WriteString("\nRules that report this code:\n\n")
		for _, ask := range p.Rules {
			fmt.Fprintf(&b, "  - %s\n", ask)
		}
	}
	if p.Code.Warning() {
		fmt.Fprintf(&b, "\nThis is a warning: code is generated all the same. To silence it, add allow=%s to\nthe directive.\n", p.Code)
	} else {
		b.WriteString("\nThis is an error: nothing is generated for the package until it is corrected. allow=\ndoes not silence it.\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// indent writes lines with four spaces in front, but for empty ones.
func indent(b *strings.Builder, text string) {
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) != "" {
			b.WriteString("    ")
		}
		b.WriteString(line)
	}
}

// List writes every code with one line of what it means, in the order of the reference.
func List(w io.Writer) error {
	var b strings.Builder
	for _, c := range diag.Codes() {
		kind := ""
		if c.Warning() {
			kind = " (a warning)"
		}
		fmt.Fprintf(&b, "%-12s %s%s\n", c, c.About(), kind)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Find returns the code of that name, or else the nearest name, which is empty if none is near.
func Find(name string) (code diag.Code, ok bool, nearest string) {
	var names []string
	for _, c := range diag.Codes() {
		if c.String() == name {
			return c, true, ""
		}
		names = append(names, c.String())
	}
	nearest, _ = diag.Nearest(name, names)
	return diag.Code{}, false, nearest
}
