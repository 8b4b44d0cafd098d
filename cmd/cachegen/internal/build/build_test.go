package build

import (
	"reflect"
	"slices"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/tools/txtar"

	"github.com/cachegen/cachegen/cmd/cachegen/internal/check"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/diag"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/facts"
	"github.com/cachegen/cachegen/cmd/cachegen/internal/load/loadtest"
	"github.com/cachegen/cachegen/templates"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const source = `
-- users/users.go --
package users

import (
	"context"
	wire "net/netip"
)

type User struct {
	ID      int64
	Friends []User
	From    wire.Addr
}

//cache:wrap namespace=users
type Repo struct{ tenant string }

//cache:getorset user:{recv.tenant}:{runtime} tag=all tag=user:{result.ID}
func (c *Repo) FindUser(cached context.Context, runtime int64) (*User, error) { return nil, nil }

//cache:batch FindUser(ids)
func (*Repo) FindUsers(ctx context.Context, ids []int64) (map[int64]*User, error) { return nil, nil }

//cache:set FindUser(id)
//cache:delete tag=all
func (*Repo) Save(ctx context.Context, id int64, user *User) (*User, error) { return user, nil }

//cache:getorset addr:{name}
func Lookup(_ context.Context, name string) (wire.Addr, error) { return wire.Addr{}, nil }
-- teams/teams.go --
package teams

import (
	"context"

	_ "example.com/app/users"
)

//cache:expire users.Lookup(name)
func Leave(ctx context.Context, name string) error { return nil }
-- wrong/wrong.go --
package wrong

import "context"

//cache:getorset wrong:{nothing}
func Find(ctx context.Context) (int, error) { return 0, nil }
`

func found(t *testing.T, text string) []*facts.Package {
	t.Helper()
	var list diag.List
	return check.Packages(loadtest.Packages(t, txtar.Parse([]byte(text)), &list), &list)
}

// The model follows from the facts alone: making it changes nothing that it is made of.
func TestTheSameFactsGiveTheSameModel(t *testing.T) {
	all := found(t, source)
	first := Files(all)
	reversed := slices.Clone(all)
	slices.Reverse(reversed)
	if again := Files(reversed); !reflect.DeepEqual(first, again) {
		t.Error("the models of one run and the next are not the same")
	}
}

// A package of which something was reported has no model, and does not keep others from theirs.
func TestOnlySoundPackagesHaveAModel(t *testing.T) {
	var packages []string
	for _, file := range Files(found(t, source)) {
		packages = append(packages, file.Package)
	}
	if slices.Sort(packages); !slices.Equal(packages, []string{"teams", "users"}) {
		t.Errorf("there are models for %v", packages)
	}
}

// What a file imports has a name that no parameter, receiver or result of the file hides.
func TestNothingHidesAnImport(t *testing.T) {
	for _, file := range Files(found(t, source)) {
		imports := map[string]bool{}
		for _, i := range file.Imports {
			if imports[i.Name] {
				t.Errorf("package %s imports two packages as %s", file.Package, i.Name)
			}
			imports[i.Name] = true
		}
		hides := func(what string, names ...string) {
			for _, name := range names {
				if imports[name] {
					t.Errorf("%s of package %s is called %s, as an import is", what, file.Package, name)
				}
			}
		}
		params := func(what string, list []templates.Param) {
			for _, v := range list {
				hides("a parameter of "+what, v.Name)
			}
		}
		for _, w := range file.Wrappers {
			hides("the receiver", w.Receiver, w.Param)
		}
		for _, c := range file.Caches {
			params(c.Func, c.Params)
			hides("the value of "+c.Func, c.ValueName, c.Context)
		}
		for _, w := range file.Writers {
			params(w.Func, w.Params)
			params(w.Func, w.Results)
		}
		for _, b := range file.Batches {
			params(b.Func, b.Params)
			hides("an element of "+b.Func, b.Element, b.ValueName)
		}
	}
}
