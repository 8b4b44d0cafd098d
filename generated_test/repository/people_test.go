package repository

import (
	"context"
	"reflect"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/generated_test/internal/process"
	"github.com/cachegen/cachegen/runtime"
)

// finder finds users by names in lower case.
type finder struct {
	names map[Alias]*User
	asked atomic.Int64
}

func (f *finder) FindByName(_ context.Context, name Alias) (*User, error) {
	f.asked.Add(1)
	return f.names[name], nil
}

// directories runs f on the directories of two sites over one finder.
func directories(t *testing.T, f func(t *testing.T, finder *finder, north, south *CachedDirectory)) {
	t.Helper()
	process.InEveryShape(t, func(t *testing.T, stores runtime.Stores) {
		names := &finder{names: map[Alias]*User{"ada": {ID: 1, Name: "Ada Lovelace", Tags: []string{"new"}}}}
		open := must[*CachedDirectory](t)
		f(t, names, open(NewCachedDirectory(Directory{names, "north"}, stores)), open(NewCachedDirectory(Directory{names, "south"}, stores)))
	})
}

// The wrapper has what the directory has: the methods of the interface in it, too.
var _ Finder = (*CachedDirectory)(nil)

func TestAFieldOfAValueIsInItsKeys(t *testing.T) {
	directories(t, func(t *testing.T, finder *finder, north, south *CachedDirectory) {
		wantMore(t, &finder.asked, 2, func() {
			for _, d := range []*CachedDirectory{north, south, north, south} {
				if u, err := d.FindUser(t.Context(), "ada"); err != nil || u == nil || u.ID != 1 {
					t.Fatal(u, err)
				}
			}
		})
	})
}

func TestAMethodOfTheInterfaceGoesPastTheCache(t *testing.T) {
	directories(t, func(t *testing.T, finder *finder, north, _ *CachedDirectory) {
		wantMore(t, &finder.asked, 2, func() {
			for range 2 {
				if u, err := north.FindByName(t.Context(), "ada"); err != nil || u == nil {
					t.Fatal(u, err)
				}
			}
		})
	})
}

func TestNilIsRememberedAsNothing(t *testing.T) {
	directories(t, func(t *testing.T, finder *finder, north, _ *CachedDirectory) {
		ctx := t.Context()
		wantMore(t, &finder.asked, 1, func() {
			for range 2 {
				if u, err := north.FindUser(ctx, "Bob"); u != nil || err != nil {
					t.Fatal(u, err)
				}
			}
		})
		if ok, err := north.HasCachedUser(ctx, "Bob"); ok || err != nil {
			t.Errorf("there is an entry of nobody: %v, %v", ok, err)
		}
		finder.names["bob"] = &User{ID: 2}
		if err := north.Reindex(ctx); err != nil { // a tag of the type reaches it
			t.Fatal(err)
		}
		if u, err := north.FindUser(ctx, "Bob"); err != nil || u == nil || u.ID != 2 {
			t.Error(u, err)
		}
	})
}

func TestTheTagOfATypeIsATagOfAllItsEntries(t *testing.T) {
	directories(t, func(t *testing.T, finder *finder, north, south *CachedDirectory) {
		ctx := t.Context()
		read := func() {
			if _, err := north.FindUser(ctx, "Ada"); err != nil {
				t.Fatal(err)
			}
			if initials, err := south.FindInitials(ctx, "ada"); err != nil || string(initials) != "AL" {
				t.Fatal(initials, err)
			}
		}
		wantMore(t, &finder.asked, 2, func() { read(); read() })
		if err := south.Reindex(ctx); err != nil {
			t.Fatal(err)
		}
		wantMore(t, &finder.asked, 2, read)
		time.Sleep(61 * time.Second) // ttl=1m
		wantMore(t, &finder.asked, 2, read)
	})
}

func TestAnUnexportedType(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		one, other := process.Two(t)
		files := &archive{Users: someUsers()}
		a := must[*cachedArchive](t)(newCachedArchive(files, one))
		b := must[*cachedArchive](t)(newCachedArchive(files, other))
		pages, err := a.readPages(ctx, []int{1, 2, 3})
		if err != nil || len(pages) != 2 || len(pages[1].Items) != 2 {
			t.Fatal(pages, err)
		}
		loads := files.pages
		want := UserPage{Items: []User{{2, "Bob", []string{"new"}}}, Total: 3}
		for _, c := range []*cachedArchive{a, b} {
			if page, err := c.readPage(ctx, 2); err != nil || !reflect.DeepEqual(page, want) {
				t.Errorf("got %+v, %v, want %+v", page, err, want)
			}
		}
		if files.pages != loads {
			t.Errorf("%d loads of what the batch has loaded", files.pages-loads)
		}
		if err := a.rewrite(2); err != nil {
			t.Fatal(err)
		}
		if _, err := a.readPage(ctx, 2); err != nil || files.pages != loads+1 {
			t.Errorf("%d loads after the page was rewritten, %v, want 1", files.pages-loads, err)
		}
	})
}
