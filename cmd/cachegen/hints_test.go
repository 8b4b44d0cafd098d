package main

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

var (
	problemLine = regexp.MustCompile(`^\S+\.go:\d+:\d+: .* \[[a-z]+\]$`)
	relatedLine = regexp.MustCompile(`^\t\S+\.go:\d+:\d+: `)
)

// Every problem of every script comes with something to do.
func TestEveryProblemHasAHint(t *testing.T) {
	scripts, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	problems := 0
	for _, name := range scripts {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range archive.Files {
			problem := ""
			for line := range strings.Lines(string(f.Data) + "\n") {
				line = strings.TrimSuffix(line, "\n")
				if strings.HasPrefix(line, "\t") {
					if !relatedLine.MatchString(line) {
						problem = ""
					}
					continue
				}
				if problem != "" {
					t.Errorf("%s: no hint for %s", name, problem)
				}
				if problem = ""; problemLine.MatchString(line) {
					problem = line
					problems++
				}
			}
		}
	}
	if problems < 300 {
		t.Errorf("found %d problems, and the scripts have more", problems)
	}
}
