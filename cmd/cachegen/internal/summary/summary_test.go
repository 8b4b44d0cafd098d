package summary_test

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/tools/txtar"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/check"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/load/loadtest"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/summary"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const source = `
-- b.go --
package app

import "context"

//cache:wrap namespace=users ttl=5m grace=6h
type Repo struct{}

//cache:getorset user:{id} tag=all tag=team:{result} ttl=1w2d ignore=trace
func (*Repo) FindTeam(ctx context.Context, id, trace int64) (int64, error) { return 0, nil }

//cache:batch FindTeam(ids)
func (*Repo) FindTeams(ctx context.Context, ids []int64) (map[int64]int64, error) { return nil, nil }

//cache:delete FindTeam(id) tag=all
func (*Repo) Move(ctx context.Context, id int64) error { return nil }

//cache:clear
func (*Repo) Reset(ctx context.Context) error { return nil }

//cache:getorset wrong:{nothing}
func (*Repo) FindWrong(ctx context.Context) (int, error) { return 0, nil }
-- a.go --
package app

import "context"

//cache:getorset config:{name} shared store=local
func LoadConfig(ctx context.Context, name string) (string, error) { return "", nil }
`

const want = `[
	{
		"package": "example.com/app",
		"name": "LoadConfig",
		"file": "a.go",
		"line": 6,
		"entity": "Config",
		"key": "config:{name}",
		"value": "string",
		"store": "local",
		"shared": true
	},
	{
		"package": "example.com/app",
		"receiver": "Repo",
		"name": "FindTeam",
		"file": "b.go",
		"line": 9,
		"entity": "Team",
		"key": "user:{id}",
		"value": "int64",
		"namespace": "users",
		"ttl": "1w2d",
		"grace": "6h",
		"tags": [
			"all",
			"team:{result}"
		],
		"ignored": [
			"trace"
		],
		"batch": {
			"package": "example.com/app",
			"receiver": "Repo",
			"name": "FindTeams",
			"file": "b.go",
			"line": 12
		},
		"invalidatedBy": [
			{
				"package": "example.com/app",
				"receiver": "Repo",
				"name": "Move",
				"file": "b.go",
				"line": 15,
				"verb": "delete",
				"target": "FindTeam(id)"
			},
			{
				"package": "example.com/app",
				"receiver": "Repo",
				"name": "Move",
				"file": "b.go",
				"line": 15,
				"verb": "delete",
				"target": "tag=all"
			},
			{
				"package": "example.com/app",
				"receiver": "Repo",
				"name": "Reset",
				"file": "b.go",
				"line": 18,
				"verb": "clear",
				"target": "users"
			}
		]
	}
]`

// Functions come in the order of files and lines, those with a problem are left out, and the names
// of the JSON form are what programs read.
func TestJSON(t *testing.T) {
	var list diag.List
	loaded := loadtest.Packages(t, txtar.Parse([]byte(source)), &list)
	functions := summary.Functions(check.Packages(loaded, &list), &list)
	for i := range functions {
		f := &functions[i]
		f.File, f.Fingerprint = filepath.Base(f.File), ""
		if f.Batch != nil {
			f.Batch.File = filepath.Base(f.Batch.File)
		}
		for j := range f.InvalidatedBy {
			f.InvalidatedBy[j].File = filepath.Base(f.InvalidatedBy[j].File)
		}
	}
	got, err := json.MarshalIndent(functions, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}
