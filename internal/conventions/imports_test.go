package conventions

import (
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// importedAs has the packages that are imported under another name than their own, everywhere:
// packages of this project have the name too, and keep it. Go's own runtime has its other name
// also in files that do not import this project's, so that "runtime." always means the same.
var importedAs = map[string]string{
	"runtime": "goruntime",
	"os/user": "osuser",

	"entgo.io/ent/dialect/sql": "entsql",
	"gorm.io/driver/mysql":     "gormmysql",
	"gorm.io/driver/postgres":  "gormpostgres",
	"gorm.io/driver/sqlite":    "gormsqlite",

	"github.com/redis/go-redis/v9":                    "goredis",
	"github.com/nats-io/nats.go":                      "gonats",
	"github.com/aws/aws-sdk-go-v2/service/dynamodb":   "awsdynamodb",
	"github.com/aws/aws-sdk-go-v2/aws/transport/http": "awshttp",
}

func TestAPackageIsImportedUnderOneName(t *testing.T) {
	files, positions := sources(t)
	for _, file := range files {
		for _, spec := range file.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			name := ""
			if spec.Name != nil {
				name = spec.Name.Name
			}
			if name == "_" {
				continue
			}
			if want := importedAs[path]; name != want {
				t.Errorf("%s: %q is imported as %q, elsewhere as %q", positions.Position(spec.Pos()), path, name, want)
			}
		}
	}
}

// What users copy from has the same names.
func TestDocumentsImportUnderTheSameNames(t *testing.T) {
	line := regexp.MustCompile(`(?m)^\s*(?:import )?(\w*) ?"([\w./-]+)"$`)
	for _, ending := range []string{".md", ".txtar"} {
		for _, name := range names(t, ending) {
			text, err := os.ReadFile(filepath.Join(root, name))
			if err != nil {
				t.Fatal(err)
			}
			for _, spec := range line.FindAllStringSubmatch(string(text), -1) {
				want, known := importedAs[spec[2]]
				if (known || strings.HasPrefix(spec[2], module+"/")) && spec[1] != want {
					t.Errorf("%s: %q is imported as %q, elsewhere as %q", name, spec[2], spec[1], want)
				}
			}
		}
	}
}

// Code in a comment uses the names of packages that a reader knows from the other sources.
func TestCommentsUseTheSameNames(t *testing.T) {
	files, positions := sources(t)
	known := map[string]bool{"mystore": true} // a reader's own package
	for _, name := range importedAs {
		known[name] = true
	}
	declared := make(map[string]map[string]bool) // by the package of a driver
	for _, file := range files {
		known[file.Name.Name] = true
		if strings.HasPrefix(file.dir(), "drivers/") && public(file.dir()) {
			if declared[file.Name.Name] == nil {
				declared[file.Name.Name] = make(map[string]bool)
			}
			for _, d := range file.Decls {
				for _, name := range exported(d) {
					declared[file.Name.Name][name] = true
				}
			}
		}
		for _, spec := range file.Imports {
			_, name, _ := cutLast(spec.Path.Value, "/")
			known[strings.Trim(name, `"`)] = true
		}
	}
	use := regexp.MustCompile(`\b(\w+)\.(New\w*|\w*Options)\b`)
	for _, file := range files {
		for _, comment := range file.Comments {
			for line := range strings.Lines(comment.Text()) {
				if !strings.HasPrefix(line, "\t") {
					continue
				}
				for _, found := range use.FindAllStringSubmatch(line, -1) {
					if of, ours := declared[found[1]]; !known[found[1]] || ours && !of[found[2]] {
						t.Errorf("%s: what is %s.%s?", positions.Position(comment.Pos()), found[1], found[2])
					}
				}
			}
		}
	}
}

// exported returns the names of functions and types that a declaration exports.
func exported(d ast.Decl) (names []string) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil && d.Name.IsExported() {
			names = append(names, d.Name.Name)
		}
	case *ast.GenDecl:
		for _, s := range d.Specs {
			if of, ok := s.(*ast.TypeSpec); ok && of.Name.IsExported() {
				names = append(names, of.Name.Name)
			}
		}
	}
	return names
}
