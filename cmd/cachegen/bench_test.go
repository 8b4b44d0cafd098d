package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"text/template"
	"time"

	"golang.org/x/tools/go/packages"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/load"
)

const (
	treePackages  = 90
	treeFunctions = 200
)

// BenchmarkTypedLoad is what every tool pays that looks at types: one load of the tree of
// [makeTree], warm. The generator is measured by it.
func BenchmarkTypedLoad(b *testing.B) {
	dir := makeTree(b)
	typedLoad(b, dir)
	for b.Loop() {
		typedLoad(b, dir)
	}
}

// BenchmarkGenerate writes the output of the whole tree anew, warm. The metric
// generate/load is its time over that of a typed load of the same tree.
func BenchmarkGenerate(b *testing.B) {
	dir := makeTree(b)
	cachegen(b, dir)
	buildTree(b, dir)
	removeOutput(b, dir)
	cachegen(b, dir)
	var loading, generating cost
	for b.Loop() {
		b.StopTimer()
		removeOutput(b, dir)
		loading.add(func() { typedLoad(b, dir) })
		b.StartTimer()
		generating.add(func() { cachegen(b, dir) })
	}
	b.ReportMetric(float64(generating.time)/float64(loading.time), "generate/load")
	b.ReportMetric(float64(generating.cpu)/float64(loading.cpu), "generate/load-cpu")
}

// A cost is what something takes: by the clock, and of the processors, the go command
// included. The latter says something on a busy machine, too.
type cost struct{ time, cpu time.Duration }

func (c *cost) add(do func()) {
	start, used := time.Now(), cpuTime()
	do()
	c.time += time.Since(start)
	c.cpu += cpuTime() - used
}

// BenchmarkNothingToDo runs the generator on a tree that is up to date.
func BenchmarkNothingToDo(b *testing.B) {
	dir := makeTree(b)
	cachegen(b, dir)
	cachegen(b, dir)
	var all cost
	n := 0
	for b.Loop() {
		all.add(func() { cachegen(b, dir) })
		n++
	}
	b.ReportMetric(float64(all.cpu.Milliseconds())/float64(n), "cpu-ms/op")
}

// typedLoad is what the research of the peers took as the unit.
func typedLoad(b *testing.B, dir string) {
	loaded, err := packages.Load(&packages.Config{
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedSyntax | packages.NeedTypes | packages.NeedTypesInfo,
		Dir:  dir,
	}, "./...")
	if err != nil || len(loaded) != treePackages {
		b.Fatalf("%d packages: %v", len(loaded), err)
	}
}

func cachegen(b *testing.B, dir string) {
	b.Helper()
	var stderr bytes.Buffer
	opts := options{source: source{dir: dir}, patterns: []string{"./..."}}
	if code := run(context.Background(), opts, &stderr, &stderr); code != exitOK {
		b.Fatalf("exit code %d\n%s", code, &stderr)
	}
}

// buildTree shows that what is measured is what users get: output that compiles.
func buildTree(b *testing.B, dir string) {
	b.Helper()
	cmd := exec.Command("go", "build", "./...")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("go build: %v\n%s", err, out)
	}
}

func removeOutput(b *testing.B, dir string) {
	b.Helper()
	removed := 0
	err := filepath.WalkDir(dir, func(name string, _ fs.DirEntry, err error) error {
		if err == nil && load.IsOutput(name, []byte(load.Header)) {
			removed++
			err = os.Remove(name)
		}
		return err
	})
	if err != nil || removed != treePackages {
		b.Fatalf("removed %d files: %v", removed, err)
	}
}

// makeTree writes a module of packages as programs have them, each with a repository of
// two or three cached methods and one that invalidates, and returns its directory.
func makeTree(b *testing.B) string {
	b.Helper()
	dir := newModule(b, "tree")
	functions := 0
	for i := range treePackages {
		p := treePackage{N: i, Imports: (i + 1) / 2, Third: i < treeFunctions-2*treePackages}
		functions += 2
		if p.Third {
			functions++
		}
		var text strings.Builder
		if err := treeSource.Execute(&text, p); err != nil {
			b.Fatal(err)
		}
		writeFile(b, filepath.Join(dir, fmt.Sprintf("p%d/repo.go", i)), []byte(text.String()))
	}
	if functions != treeFunctions {
		b.Fatalf("%d functions", functions)
	}
	return dir
}

// newModule makes a module example.com/NAME that uses the runtime of this one, and returns
// its directory.
func newModule(b *testing.B, name string) string {
	b.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		b.Fatal(err)
	}
	b.Setenv("GOFLAGS", "-mod=mod")
	b.Setenv("GOPROXY", "off")
	b.Setenv("GOWORK", "off")
	dir := b.TempDir()
	writeFile(b, filepath.Join(dir, "go.mod"), []byte("module example.com/"+name+"\n\ngo 1.26\n"))
	if err := useRuntime(root, dir); err != nil {
		b.Fatal(err)
	}
	return dir
}

// A treePackage says what is in a package of the tree.
type treePackage struct {
	N       int
	Imports int  // number of the package before that it imports, from 1
	Third   bool // a third cached function
}

var treeSource = template.Must(template.New("repo.go").Parse(`package p{{.N}}

import (
	"context"
	"database/sql"
	"net/http"
	"net/netip"
	"time"
{{- if .N}}
	"example.com/tree/p{{.Before}}"
{{- end}}
)

type Status int

type Address struct {
	Street, City, Country string
	Lines                 []string
}

type Account{{.N}} struct {
	ID, TeamID int64
	Name       string
	Status     Status
	Email      *string
	Home       Address
	Others     map[string]Address
	Labels     map[string]string
	Scores     []float64
	From       netip.Addr
	Created    time.Time
	Deleted    *time.Time
{{- if .N}}
	Owner      *p{{.Before}}.Owner
{{- end}}
}

type Owner struct {
	ID    int64
	Name  string
	Since time.Time
}

type Page struct {
	Accounts []Account{{.N}}
	Next     string
}

//cache:wrap CachedRepo namespace=accounts{{.N}} ttl=5m grace=6h
type Repo struct {
	DB     *sql.DB
	Client *http.Client
}

// FindAccount returns one account.
//
//cache:getorset account:{id} tag=team:{result.TeamID} timeout=200ms hardtimeout=2s
func (r *Repo) FindAccount(ctx context.Context, id int64) (*Account{{.N}}, error) {
	row := r.DB.QueryRowContext(ctx, "SELECT id, name FROM accounts WHERE id = $1", id)
	a := &Account{{.N}}{}
	if err := row.Scan(&a.ID, &a.Name); err != nil {
		return nil, err
	}
	return a, nil
}

// ListAccounts returns the accounts of a team, page by page.
//
//cache:getorset accounts:{team}:{status}:{after} tag=team:{team} ignore=limit
func (r *Repo) ListAccounts(ctx context.Context, team int64, status Status, after string, limit int) (Page, error) {
	rows, err := r.DB.QueryContext(ctx, "SELECT id FROM accounts WHERE team = $1", team)
	if err != nil {
		return Page{}, err
	}
	defer rows.Close()
	var page Page
	for rows.Next() {
		var a Account{{.N}}
		if err := rows.Scan(&a.ID); err != nil {
			return Page{}, err
		}
		page.Accounts = append(page.Accounts, a)
	}
	return page, rows.Err()
}
{{- if .Third}}

// LoadCounts counts the accounts of every team.
//
//cache:getorset count:{status} ttl=1h
func (r *Repo) LoadCounts(ctx context.Context, status Status) (map[int64]int, error) {
	return nil, nil
}
{{- end}}

// Rename renames an account.
//
//cache:delete FindAccount(id) tag=team:{team}
func (r *Repo) Rename(ctx context.Context, id, team int64, name string) error {
	_, err := r.DB.ExecContext(ctx, "UPDATE accounts SET name = $1 WHERE id = $2", name, id)
	return err
}

func (r *Repo) ping(ctx context.Context) error { return r.DB.PingContext(ctx) }
`))

// Before is the package that this one imports.
func (p treePackage) Before() int { return p.Imports - 1 }
