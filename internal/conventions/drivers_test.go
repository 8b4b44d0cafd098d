package conventions

import (
	"go/types"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
)

// The user who chooses a driver looks into the table of ARCHITECTURE.md. Where the first cell of a
// row names an interface of package drivers, the other cells say "no" where the driver lacks it.
func TestTheTableOfDriversIsTrue(t *testing.T) {
	byName := make(map[string]*packages.Package)
	for _, p := range publicPackages(t) {
		byName[strings.TrimPrefix(p.PkgPath, module+"/drivers/")] = p
		if p.PkgPath == module+"/drivers" {
			byName["."] = p
		}
	}
	role := func(name string) *types.Interface {
		object, ok := byName["."].Types.Scope().Lookup(name).(*types.TypeName)
		if !ok {
			return nil
		}
		found, _ := object.Type().Underlying().(*types.Interface)
		return found
	}
	// has reports whether a type of a package has an interface: one that is a shared tier, unless
	// the interface is a role of its own.
	has := func(p *packages.Package, name string) bool {
		for _, of := range p.Types.Scope().Names() {
			object, ok := p.Types.Scope().Lookup(of).(*types.TypeName)
			if !ok || !object.Exported() || types.IsInterface(object.Type()) {
				continue
			}
			pointer := types.NewPointer(object.Type())
			if types.Implements(pointer, role(name)) && (name == "Bus" || name == "Outbox" || types.Implements(pointer, role("L2"))) {
				return true
			}
		}
		return false
	}
	text, err := os.ReadFile(filepath.Join(root, "ARCHITECTURE.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n### Which driver promises what\n")
	quoted := regexp.MustCompile("`([A-Za-z0-9]+)`")
	var drivers []*packages.Package
	rows, listed := 0, make(map[string]bool)
	for line := range strings.Lines(section) {
		if strings.HasPrefix(line, "#") {
			break
		}
		cells := strings.Split(strings.Trim(line, "| \n"), "|")
		switch name := quoted.FindStringSubmatch(cells[0]); {
		case !strings.HasPrefix(line, "|"):
		case drivers == nil:
			for _, cell := range cells {
				driver := quoted.FindStringSubmatch(cell)[1]
				if byName[driver] == nil {
					t.Fatalf("there is no driver %s", driver)
				}
				drivers = append(drivers, byName[driver])
				listed[driver] = true
			}
		case name == nil || role(name[1]) == nil:
		case len(cells) != 1+len(drivers):
			t.Errorf("%d cells for %d drivers: %s", len(cells)-1, len(drivers), line)
		default:
			rows++
			for i, p := range drivers {
				says := !strings.HasPrefix(strings.TrimSpace(cells[1+i]), "no")
				is := has(p, name[1])
				if extra := byName[p.Name+"/pgxbus"]; extra != nil {
					is = is || has(extra, name[1])
				}
				if says != is {
					t.Errorf("%s of %s: the table says %v, the code %v", name[1], p.Name, says, is)
				}
			}
		}
	}
	if rows < 9 {
		t.Errorf("only %d rows name an interface", rows)
	}
	for name, p := range byName {
		if name != "." && !strings.Contains(name, "/") && has(p, "L2") && !listed[name] {
			t.Errorf("the table lacks %s", name)
		}
	}
}
