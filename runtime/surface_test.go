package runtime_test

import (
	"os/exec"
	"strings"
	"testing"
)

// mostDocumented is how many lines go doc may need for the whole package: a page that one reads
// at once.
const mostDocumented = 65

func TestThePackageIsReadOnOnePage(t *testing.T) {
	out, err := exec.Command("go", "doc", "-short", ".").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if n := strings.Count(string(out), "\n"); n > mostDocumented {
		t.Errorf("go doc -short has %d lines, more than %d:\n%s", n, mostDocumented, out)
	}
	kinds := 0
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "type ") && strings.Contains(line, "Option interface") {
			kinds++
		}
	}
	if kinds != 3 {
		t.Errorf("%d kinds of option, want 3:\n%s", kinds, out)
	}
}
