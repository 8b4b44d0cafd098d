package outside

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// getsModules matches what says where modules come from: caches, proxies, certificates.
var getsModules = regexp.MustCompile(`(?i)^(GO\w*|HOME|XDG_\w+|LOCALAPPDATA|USERPROFILE|\w+_PROXY|SSL_CERT_\w+)=`)

// What a module of somebody else gets by requiring this one: testdata/script has such
// modules. UPDATE_SCRIPTS=1 rewrites the lists of what they then have.
func TestOutsideModules(t *testing.T) {
	if testing.Short() {
		t.Skip("it gets modules, and compiles what they have")
	}
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(e *testscript.Env) error {
			for _, variable := range os.Environ() {
				if getsModules.MatchString(variable) {
					e.Vars = append(e.Vars, variable)
				}
			}
			e.Vars = append(e.Vars, "CACHEGEN_ROOT="+root, "GOWORK=off")
			return nil
		},
	})
}
