package load

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// driverPrefix is what golang.org/x/tools/go/packages puts before the text of the go command.
var driverPrefix = regexp.MustCompile(`^(err: )?(go \[list.*?\]: )?exit status \d+: (stderr: )?`)

// A remedy is what helps against a failure of the go command that is usual where code is generated.
type remedy struct{ text, what string }

var remedies = []remedy{
	{"updates to go.mod needed", "go.mod does not list yet what the sources or generated code import: run go mod tidy, then cachegen again"},
	{"missing go.sum entry", "go.sum does not list yet what the sources or generated code import: run go mod tidy, then cachegen again"},
	{"no required module provides package", "go.mod does not list yet what the sources or generated code import: run go get for it, or go mod tidy, then cachegen again"},
	{"inconsistent vendoring", "vendor does not have yet what go.mod lists: run go mod vendor, then cachegen again"},
	{"go.mod file not found", "cachegen works in a module: run it in the directory of one, or name that with -C"},
}

// failed is the error of a run of the go command, in its own words, and what to do about it.
func failed(doing string, err error) error {
	text := strings.TrimSpace(driverPrefix.ReplaceAllString(err.Error(), ""))
	for _, r := range remedies {
		if strings.Contains(text, r.text) {
			return fmt.Errorf("%s\n%s", r.what, text)
		}
	}
	if text != err.Error() {
		err = errors.New(text)
	}
	return fmt.Errorf("%s: %w", doing, err)
}
