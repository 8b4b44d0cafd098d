package main

import (
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
