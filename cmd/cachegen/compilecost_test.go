package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/template"
)

// BenchmarkCompileCost measures what a cached function costs those who compile the package
// it is in: CPU time of the compiler after each edit, and bytes of a stripped binary. It
// generates packages of 40 and of 80 cached functions and takes the difference, so that
// what every program pays once does not count:
//
//	go test ./cmd/cachegen -run '^$' -bench CompileCost -benchtime 5x
//
// The bars are 60 cpu-ms/function and 10 KB/function. KB/function is of a program that
// makes all wrappers; all-KB/function is of one that also looks for methods by name, so
// that the linker keeps every method, whether it is called or not.
func BenchmarkCompileCost(b *testing.B) {
	const few, many = 40, 80
	dir := newModule(b, "cost")
	for _, n := range []int{few, many} {
		writeCostPackage(b, dir, n)
	}
	cachegen(b, dir)
	compile := func(n, round int) float64 {
		name := filepath.Join(dir, fmt.Sprintf("p%d/touched.go", n))
		writeFile(b, name, fmt.Appendf(nil, "package p%d\n\n// Round %d.\n", n, round))
		start := cpuTime()
		goBuild(b, dir, fmt.Sprintf("./p%d", n))
		return float64((cpuTime() - start).Milliseconds())
	}
	compile(few, 0) // what the packages import is compiled once
	compile(many, 0)
	var times []float64
	for round := 1; b.Loop(); round++ {
		a := compile(few, round)
		times = append(times, (compile(many, round)-a)/(many-few))
	}
	slices.Sort(times)
	b.ReportMetric(times[len(times)/2], "cpu-ms/function")
	for _, kind := range []string{"lean", "full"} {
		var size [2]int64
		for i, n := range []int{few, many} {
			out := filepath.Join(b.TempDir(), "program")
			goBuild(b, dir, "-ldflags=-s -w", "-o", out, fmt.Sprintf("./%s%d", kind, n))
			info, err := os.Stat(out)
			if err != nil {
				b.Fatal(err)
			}
			size[i] = info.Size()
		}
		unit := "KB/function"
		if kind == "full" {
			unit = "all-KB/function"
		}
		b.ReportMetric(float64(size[1]-size[0])/1000/(many-few), unit)
	}
}

func goBuild(b *testing.B, dir string, args ...string) {
	b.Helper()
	cmd := exec.Command("go", append([]string{"build", "-p", "1"}, args...)...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("go build %v: %v\n%s", args, err, out)
	}
}

// writeCostPackage writes a package of n cached functions, four to a repository, and the
// programs that use it.
func writeCostPackage(b *testing.B, dir string, n int) {
	b.Helper()
	var groups []int
	for i := range n / 4 {
		groups = append(groups, i)
	}
	data := map[string]any{"N": n, "Groups": groups}
	for name, source := range map[string]*template.Template{
		fmt.Sprintf("p%d/repo.go", n):    costPackage,
		fmt.Sprintf("lean%d/main.go", n): costProgram,
		fmt.Sprintf("full%d/main.go", n): costProgram,
	} {
		data["Full"] = strings.HasPrefix(name, "full")
		var text bytes.Buffer
		if err := source.Execute(&text, data); err != nil {
			b.Fatal(err)
		}
		writeFile(b, filepath.Join(dir, name), text.Bytes())
	}
}

var costPackage = template.Must(template.New("repo.go").Parse(`package p{{.N}}

import (
	"context"
	"time"
)
{{range .Groups}}
type User{{.}} struct {
	ID, TeamID     int64
	Name, Email    string
	Admin          bool
	Visits         int
	Created, Login time.Time
}

type Order{{.}} struct {
	ID, UserID int64
	Status     string
	Cents      int64
	Lines      []Line{{.}}
	Tags       []string
	Note       *string
	Placed     time.Time
}

type Line{{.}} struct {
	SKU   string
	Count int
	Cents int64
}

type Site{{.}} struct {
	ID             int64
	Slug, Title    string
	Locale, Region string
	Width, Height  int
	Score          float64
}

//cache:wrap CachedRepo{{.}} namespace=p{{$.N}}n{{.}} ttl=5m grace=6h
type Repo{{.}} struct{}

// FindUser{{.}} returns the user with that id.
//
//cache:getorset user{{.}}:{id} tag=team{{.}}:{result.TeamID} timeout=200ms hardtimeout=2s
func (r *Repo{{.}}) FindUser{{.}}(ctx context.Context, id int64) (*User{{.}}, error) { return nil, nil }

// FindMember{{.}} returns the user with that address.
//
//cache:getorset member{{.}}:{email}
func (r *Repo{{.}}) FindMember{{.}}(ctx context.Context, email string) (*User{{.}}, error) { return nil, nil }

// FindOrder{{.}} returns an order of a user.
//
//cache:getorset order{{.}}:{userID}:{orderID} tag=user{{.}}:{userID}
func (r *Repo{{.}}) FindOrder{{.}}(ctx context.Context, userID, orderID int64) (*Order{{.}}, error) { return nil, nil }

// FindSite{{.}} returns a site in a language.
//
//cache:getorset site{{.}}:{slug}:{locale} ttl=1h
func (r *Repo{{.}}) FindSite{{.}}(ctx context.Context, slug, locale string) (*Site{{.}}, error) { return nil, nil }
{{end}}`))

var costProgram = template.Must(template.New("main.go").Parse(`package main

import (
	"fmt"
{{- if .Full}}
	"os"
	"reflect"
{{- end}}

	"github.com/cachegen/cachegen/runtime"

	"example.com/cost/p{{.N}}"
)

func use(v any, err error) {
	fmt.Println(v, err)
{{- if .Full}}
	reflect.ValueOf(v).MethodByName(os.Args[0])
{{- end}}
}

func main() {
{{- range .Groups}}
	use(p{{$.N}}.NewCachedRepo{{.}}(nil, runtime.Stores{}))
{{- end}}
}
`))
