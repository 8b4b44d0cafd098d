package main

import (
	"bytes"
	"go/format"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The README promises that its tour works when pasted: all blocks into one shell,
// the first at the root of the repository. What the last one prints is in the
// README too.
func TestTourOfTheREADMEWorksWhenPasted(t *testing.T) {
	if testing.Short() {
		t.Skip("it compiles all that the tour uses")
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	script, want := tour(t, string(readme))

	temp := t.TempDir()
	// What the commands before print is not in the README.
	last := strings.LastIndex(script, "go run .")
	script = script[:last] + "echo 'the program prints:'\n" + script[last:]
	cmd := exec.CommandContext(t.Context(), "sh", "-e")
	cmd.Dir = root
	cmd.Stdin = strings.NewReader(script)
	cmd.Env = append(os.Environ(), "TMPDIR="+temp, "GOWORK=off")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if _, got, _ := strings.Cut(string(out), "the program prints:\n"); got != want {
		t.Errorf("the tour prints\n%s\nthe README says\n%s", got, want)
	}
}

// The chapter shows a whole file, which vet compiles as if it were in this module.
func TestRedisChapterOfTheREADMECompiles(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?ms)^```go\n(package .*?)^```$").FindAllSubmatch(readme, -1)
	if len(blocks) != 1 {
		t.Fatalf("the README has %d files in Go, want 1", len(blocks))
	}
	source := blocks[0][1]
	if formatted, err := format.Source(source); err != nil || !bytes.Equal(formatted, source) {
		t.Errorf("not as gofmt writes it: %v", err)
	}
	file := filepath.Join(t.TempDir(), "stores.go")
	if err := os.WriteFile(file, source, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "go", "vet", file).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// tour returns the shell blocks of the chapter and the output it shows.
func tour(t *testing.T, readme string) (script, output string) {
	t.Helper()
	_, chapter, ok := strings.Cut(readme, "\n## A first tour\n")
	if !ok {
		t.Fatal("the README has no chapter A first tour")
	}
	chapter, _, _ = strings.Cut(chapter, "\n## ")
	for _, block := range regexp.MustCompile("(?ms)^```(sh|text)\n(.*?)^```$").FindAllStringSubmatch(chapter, -1) {
		if block[1] == "sh" {
			script += block[2]
		} else {
			output += block[2]
		}
	}
	if !strings.Contains(script, "go run .") || output == "" {
		t.Fatalf("the tour has no program or no output:\n%s", script)
	}
	return script, output
}
