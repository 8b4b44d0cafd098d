package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
)

// byGoGenerate reports whether go generate runs this program.
func byGoGenerate() bool {
	for _, name := range []string{"GOFILE", "GOLINE", "GOPACKAGE"} {
		if os.Getenv(name) == "" {
			return false
		}
	}
	return true
}

// tellLeft says in a line which files stay without code, because go generate opens them.
func tellLeft(w io.Writer, left []string, dir string) error {
	const most = 3
	if len(left) == 0 {
		return nil
	}
	var names []string
	for _, name := range left[:min(most, len(left))] {
		names = append(names, diag.Relative(name, dir))
	}
	text := strings.Join(names, ", ")
	if n := len(left) - most; n > 0 {
		text += fmt.Sprintf(" and %d more", n)
	}
	_, err := fmt.Fprintf(w, "cachegen: files left without code, because go generate opens them later: %s; cachegen run by hand removes them\n", text)
	return err
}
