package runtime_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// module begins the import path of every package of this repository.
const module = "github.com/cachegen/cachegen/"

// rooms are the packages of the runtime, each after those that it may import: an arrow that
// is not here is a mistake, or a decision that belongs here. Public packages are named with
// their path below the module, internal ones without runtime/internal.
var rooms = []struct {
	name    string
	imports string
}{
	// Leaves know nothing of the cache.
	{"random", ""},
	{"gate", ""},
	{"guard", ""},
	{"keymutex", ""},
	{"owner", ""},
	{"keytext", ""},
	{"ratelog", ""},
	{"clock", ""},
	{"breaker", ""},
	{"fence", ""},
	{"flight", ""},
	{"pace", ""},
	{"pending", ""},
	{"waiters", ""},
	{"reflectvalue", ""},
	{"runtime/event", "keytext"},
	{"stamp", "clock random"},
	{"background", "gate"},
	{"doubt", "clock"},
	{"echo", "clock"},
	{"history", "clock"},
	{"scan", "reflectvalue"},
	{"reflectwire", "reflectvalue"},
	{"runtime/wire", "keytext reflectvalue reflectwire scan"},

	// What is cached, and for how long.
	{"policy", "clock random runtime/event"},
	{"budget", "clock policy"},
	{"registry", "policy"},
	{"entry", "clock keytext policy random stamp"},
	{"emit", "entry ratelog runtime/event"},
	{"collect", "budget entry guard"}, // what is held until a transaction ends is one write, of entries

	// The tiers, and the other processes.
	{"bus", "breaker budget clock emit guard runtime/event"},
	{"remote", "background breaker budget clock doubt echo emit entry guard history keytext pace pending policy runtime/event stamp"},
	{"lag", "clock entry remote stamp"}, // what others load is held back in the shared tier
	{"prune", "background clock emit entry guard remote stamp"},
	{"tagwatch", "entry remote"},
	{"memory", "budget bus clock entry fence flight keytext remote stamp waiters"},
	{"lease", "background budget clock emit flight lag random remote waiters"},
	{"outbox", "breaker bus clock emit entry fence keytext lag memory pending runtime/event stamp"},
	{"fill", "budget clock emit fence lease outbox pending remote"},

	// What is done with them.
	{"handle", "entry flight keytext policy runtime/event"},
	{"load", "background budget clock emit entry fill flight guard handle lag lease memory outbox pending policy remote runtime/event stamp tagwatch"},
	{"lookup", "background budget clock emit entry fence flight handle load memory remote runtime/event stamp"},
	// The table that is the outbox of the program: what transactions leave there is written and read.
	{"relay", "collect emit entry guard random runtime/event"},
	{"invalidate", "background budget bus clock collect emit entry fence guard keymutex lag memory outbox pending policy relay remote runtime/event stamp"},

	// The whole.
	{"store", "background bus emit fill guard history invalidate lag lease load lookup memory outbox owner pending prune random relay remote runtime/event stamp tagwatch"},
	{"untyped", "budget collect emit entry guard handle invalidate keytext load memory policy reflectvalue registry runtime/event runtime/wire store"},
	{"typed", "untyped"},
	{"runtime", "background collect entry handle invalidate keytext load policy registry remote runtime/event runtime/wire store typed untyped"},
	{"runtime/gen", "budget keytext load policy runtime runtime/wire typed untyped"},

	{"runtime/transaction", "collect runtime"}, // a part of a transaction waits for the whole, which Collect does not tell

	// For tests alone: no package above imports them.
	{"faketier", ""},
	{"storetest", "entry load policy runtime/event store"},
	{"simulation/history", ""},
	{"simulation", "entry faketier random runtime runtime/gen simulation/history"},
	{"simulation/seeds", ""},
	{"simulation/steps", ""},
	{"simulation/servers", "bus clock entry runtime stamp"},
	{"simulation/record", "runtime"},
	{"simulation/processes", "entry memory random remote runtime runtime/event runtime/gen simulation/record simulation/servers simulation/steps stamp"},
	{"simulation/runs", "clock simulation/processes simulation/record simulation/steps"},
}

// forTests are the packages that only tests import.
var forTests = map[string]bool{
	"faketier": true, "storetest": true, "simulation": true, "simulation/history": true,
	"simulation/seeds": true, "simulation/steps": true, "simulation/servers": true, "simulation/record": true, "simulation/processes": true, "simulation/runs": true,
}

// outside are the packages from elsewhere that the runtime may import, by room. A driver
// for a server, or for a cache, is no part of it.
var outside = map[string]string{
	"bus":          "drivers",
	"echo":         "drivers",
	"entry":        "drivers",
	"faketier":     "drivers",
	"fill":         "drivers",
	"history":      "drivers",
	"invalidate":   "drivers",
	"lag":          "drivers",
	"lease":        "drivers",
	"load":         "drivers",
	"memory":       "drivers",
	"outbox":       "drivers",
	"prune":        "drivers",
	"reflectvalue": "github.com/vmihailenco/msgpack/v5", // names its interfaces
	"reflectwire":  "github.com/vmihailenco/msgpack/v5", // as well
	"relay":        "drivers",
	"remote":       "drivers",
	"runtime":      "drivers",
	"runtime/wire": "github.com/vmihailenco/msgpack/v5 github.com/vmihailenco/msgpack/v5/msgpcode",
	"scan":         "github.com/vmihailenco/msgpack/v5/msgpcode",
	"store":        "drivers",
	"tagwatch":     "drivers",
	"simulation":   "drivers drivers/memory",

	"simulation/processes": "drivers",
	"simulation/runs":      "drivers",
	"simulation/servers":   "drivers",

	"storetest": "drivers drivers/memory",
}

// mostLines is how many lines of code a package may have before it is two. Comments do not count:
// nobody is to write fewer of them.
const mostLines = 1200

// A listedPackage is what go list tells of a package. Test files are not in it.
type listedPackage struct {
	ImportPath, Dir  string
	GoFiles, Imports []string
}

// listPackages lists the packages of the runtime by the names that they have in rooms.
func listPackages(t *testing.T) map[string]listedPackage {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Dir,GoFiles,Imports", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	packages := make(map[string]listedPackage)
	for decoder := json.NewDecoder(bytes.NewReader(out)); decoder.More(); {
		var p listedPackage
		if err := decoder.Decode(&p); err != nil {
			t.Fatal(err)
		}
		packages[roomOf(p.ImportPath)] = p
	}
	return packages
}

// roomOf returns how rooms calls an import path.
func roomOf(path string) string {
	path = strings.TrimPrefix(path, module)
	return strings.TrimPrefix(path, "runtime/internal/")
}

func TestEveryImportOfARoomIsInTheTable(t *testing.T) {
	packages, seen := listPackages(t), make(map[string]bool)
	for _, room := range rooms {
		p, ok := packages[room.name]
		if !ok {
			t.Errorf("%s is in the table, and there is no such package", room.name)
		}
		var own, foreign []string
		for _, path := range p.Imports {
			switch first, _, _ := strings.Cut(path, "/"); {
			case strings.HasPrefix(path, module+"runtime"):
				own = append(own, roomOf(path))
			case strings.Contains(first, "."):
				foreign = append(foreign, roomOf(path))
			}
		}
		allowed := strings.Fields(room.imports)
		for _, name := range own {
			if !slices.Contains(allowed, name) {
				t.Errorf("%s imports %s, which is not in its line of the table", room.name, name)
			}
		}
		for _, name := range allowed {
			if !slices.Contains(own, name) {
				t.Errorf("the table lets %s import %s, and it does not", room.name, name)
			}
			// Where each line names only what is above it there is no circle.
			if !seen[name] {
				t.Errorf("the table lets %s import %s, which comes after it", room.name, name)
			}
			if forTests[name] && !forTests[room.name] {
				t.Errorf("%s imports %s, which is for tests", room.name, name)
			}
		}
		slices.Sort(foreign)
		if want := strings.Fields(outside[room.name]); !slices.Equal(foreign, want) {
			t.Errorf("%s imports %q from outside the runtime, want %q", room.name, foreign, want)
		}
		if seen[room.name] {
			t.Errorf("%s is in the table twice", room.name)
		}
		seen[room.name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(packages)) {
		if !seen[name] {
			t.Errorf("%s is not in the table: give it a line after what it imports", name)
		}
	}
	for name := range outside {
		if !seen[name] {
			t.Errorf("%s may import something from outside, and is no room", name)
		}
	}
}

func TestNoRoomIsTooLarge(t *testing.T) {
	for name, p := range listPackages(t) {
		lines := 0
		for _, file := range p.GoFiles {
			text, err := os.ReadFile(filepath.Join(p.Dir, file))
			if err != nil {
				t.Fatal(err)
			}
			for line := range bytes.Lines(text) {
				if line = bytes.TrimSpace(line); len(line) > 0 && !bytes.HasPrefix(line, []byte("//")) {
					lines++
				}
			}
		}
		if lines > mostLines {
			t.Errorf("%s has %d lines of code, more than %d: it has two subjects", name, lines, mostLines)
		}
	}
}

// A call of reflect's Method or MethodByName makes the linker keep every exported method of
// every type of the program, used or not: twice as many bytes for each cached function.
func TestNothingLooksForMethodsByName(t *testing.T) {
	err := filepath.WalkDir(".", func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, call := range []string{".Method(", ".MethodByName(", ".Methods("} {
			if bytes.Contains(source, []byte(call)) {
				t.Errorf("%s calls %s)", path, call)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
