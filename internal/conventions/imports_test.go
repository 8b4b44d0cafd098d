package conventions

import (
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
	for _, file := range files {
		known[file.Name.Name] = true
		for _, spec := range file.Imports {
			_, name, _ := cutLast(spec.Path.Value, "/")
			known[strings.Trim(name, `"`)] = true
		}
	}
	use := regexp.MustCompile(`(?m)^\s*\t.*?\b(\w+)\.(?:New\w*|\w*Options)\b`)
	for _, file := range files {
		for _, comment := range file.Comments {
			for _, found := range use.FindAllStringSubmatch(comment.Text(), -1) {
				if !known[found[1]] {
					t.Errorf("%s: no source imports a package as %s", positions.Position(comment.Pos()), found[1])
				}
			}
		}
	}
}
