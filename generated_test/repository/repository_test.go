package repository

import (
	"errors"
	"reflect"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"github.com/cachegen/cachegen/generated_test/internal/process"
	"github.com/cachegen/cachegen/runtime"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// must returns what a constructor made.
func must[T any](t *testing.T) func(T, error) T {
	return func(made T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
}

func wantMore(t *testing.T, counter *atomic.Int64, want int64, f func()) {
	t.Helper()
	before := counter.Load()
	f()
	if n := counter.Load() - before; n != want {
		t.Errorf("%d queries, want %d", n, want)
	}
}

func someUsers() *Users {
	return NewRepo(map[int64]*User{1: {1, "Ada Lovelace", nil}, 2: {2, "Bob", []string{"new"}}, 11: {11, "Eve", nil}})
}

func someSettings() *Settings {
	return NewRepo(map[string]string{"1": "one", "theme": "dark"})
}

// instances runs f on two instances of one repository in one process.
func instances(t *testing.T, f func(t *testing.T, users *CachedRepo[int64, *User], settings *CachedRepo[string, string])) {
	t.Helper()
	process.InEveryShape(t, func(t *testing.T, stores runtime.Stores) {
		f(t, must[*CachedRepo[int64, *User]](t)(NewCachedRepo(someUsers(), stores)),
			must[*CachedRepo[string, string]](t)(NewCachedRepo(someSettings(), stores)))
	})
}

func TestInstancesOfARepositoryDoNotShareEntries(t *testing.T) {
	instances(t, func(t *testing.T, users *CachedRepo[int64, *User], settings *CachedRepo[string, string]) {
		ctx := t.Context()
		for range 2 { // the texts of these keys are equal
			if u, err := users.Find(ctx, 1); err != nil || u.Name != "Ada Lovelace" {
				t.Fatal(u, err)
			}
			if s, err := settings.Find(ctx, "1"); err != nil || s != "one" {
				t.Fatal(s, err)
			}
		}
		if u, s := users.Queries.Load(), settings.Queries.Load(); u != 1 || s != 1 {
			t.Errorf("%d and %d queries, want one of each", u, s)
		}
		if err := users.Remove(ctx, 1); err != nil {
			t.Fatal(err)
		}
		if _, err := users.Find(ctx, 1); !errors.Is(err, ErrNoRow) {
			t.Errorf("the user is still there: %v", err)
		}
		wantMore(t, &settings.Queries, 0, func() {
			if s, err := settings.Find(ctx, "1"); err != nil || s != "one" {
				t.Error(s, err)
			}
		})
	})
}

func TestThatThereIsNoRowIsRemembered(t *testing.T) {
	instances(t, func(t *testing.T, users *CachedRepo[int64, *User], settings *CachedRepo[string, string]) {
		ctx := t.Context()
		wantMore(t, &settings.Queries, 1, func() {
			for range 2 {
				if _, err := settings.Find(ctx, "?"); !errors.Is(err, ErrNoRow) {
					t.Fatal(err)
				}
			}
		})
		if _, err := settings.Save(ctx, "?", "!"); err != nil {
			t.Fatal(err)
		}
		wantMore(t, &settings.Queries, 0, func() {
			if s, err := settings.Find(ctx, "?"); err != nil || s != "!" {
				t.Error(s, err)
			}
		})
	})
}

func TestABatchOfAnInstance(t *testing.T) {
	instances(t, func(t *testing.T, users *CachedRepo[int64, *User], settings *CachedRepo[string, string]) {
		ctx := t.Context()
		for range 2 {
			found, err := users.FindAll(ctx, 1, 2, 3)
			if err != nil || len(found) != 2 || found[2].Name != "Bob" {
				t.Fatal(found, err)
			}
		}
		if n := users.Queries.Load(); n != 1 {
			t.Errorf("%d queries, want 1", n)
		}
		found, err := settings.FindAll(ctx, "theme", "theme")
		if want := map[string]string{"theme": "dark"}; err != nil || !reflect.DeepEqual(found, want) {
			t.Error(found, err)
		}
	})
}

func TestPagesAreForgottenWithAnyRow(t *testing.T) {
	instances(t, func(t *testing.T, users *CachedRepo[int64, *User], _ *CachedRepo[string, string]) {
		ctx := t.Context()
		next := int64(11)
		want := Page[int64]{Items: []int64{1, 2}, Next: &next, Total: 3}
		wantMore(t, &users.Queries, 1, func() {
			for range 2 {
				if page, err := users.ListPage(ctx, 0, 2); err != nil || !reflect.DeepEqual(page, want) {
					t.Fatal(page, err)
				}
			}
		})
		if page, err := users.ListPage(ctx, 1, 2); err != nil || page.Next != nil || len(page.Items) != 1 {
			t.Error(page, err)
		}
		if err := users.Remove(ctx, 1, 2); err != nil {
			t.Fatal(err)
		}
		want = Page[int64]{Items: []int64{11}, Total: 1}
		if page, err := users.ListPage(ctx, 0, 2); err != nil || !reflect.DeepEqual(page, want) {
			t.Error(page, err)
		}
	})
}

func TestAPageIsTheSameInAnotherProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, other := process.Two(t)
		repo := someSettings()
		a := must[*CachedRepo[string, string]](t)(NewCachedRepo(repo, one))
		b := must[*CachedRepo[string, string]](t)(NewCachedRepo(repo, other))
		wantMore(t, &repo.Queries, 2, func() {
			for number := range 2 {
				want, err := a.ListPage(t.Context(), number, 1)
				if err != nil {
					t.Fatal(err)
				}
				if got, err := b.ListPage(t.Context(), number, 1); err != nil || !reflect.DeepEqual(got, want) {
					t.Errorf("the other process has %+v, %v, want %+v", got, err, want)
				}
			}
		})
	})
}

func TestTruncatingClearsTheNamespace(t *testing.T) {
	instances(t, func(t *testing.T, users *CachedRepo[int64, *User], _ *CachedRepo[string, string]) {
		ctx := t.Context()
		if _, err := users.Find(ctx, 1); err != nil {
			t.Fatal(err)
		}
		if _, err := users.ListPage(ctx, 0, 2); err != nil {
			t.Fatal(err)
		}
		if err := users.Truncate(); err != nil {
			t.Fatal(err)
		}
		if _, err := users.Find(ctx, 1); !errors.Is(err, ErrNoRow) {
			t.Errorf("the row is still there: %v", err)
		}
		if page, err := users.ListPage(ctx, 0, 2); err != nil || page.Total != 0 {
			t.Errorf("the page is still there: %v, %v", page, err)
		}
	})
}

func TestAGenericFunctionHasACacheForEachType(t *testing.T) {
	process.InEveryShape(t, func(t *testing.T, stores runtime.Stores) {
		ctx := t.Context()
		if err := BindCaches(stores); err != nil {
			t.Fatal(err)
		}
		type cents int64
		convert := func() {
			if n, err := GetOrSetConverted[int64](ctx, "2.5"); n != 2 || err != nil {
				t.Fatal(n, err)
			}
			if n, err := GetOrSetConverted[float64](ctx, "2.5"); n != 2.5 || err != nil {
				t.Fatal(n, err)
			}
			if n, err := GetOrSetConverted[cents](ctx, "2.5"); n != 2 || err != nil {
				t.Fatal(n, err)
			}
		}
		wantMore(t, &conversions, 3, func() { convert(); convert() })
		if err := DeleteCachedConverted[float64](ctx, "2.5"); err != nil {
			t.Fatal(err)
		}
		wantMore(t, &conversions, 1, convert)
		if err := CachedReconvert("2.5"); err != nil { // by a tag, for all types
			t.Fatal(err)
		}
		wantMore(t, &conversions, 3, convert)
		if _, err := GetOrSetConverted[int64](ctx, "two"); err == nil {
			t.Error("what is no number has been converted")
		}
	})
}

func TestTypeArgumentsTellKeysOfEqualTextApart(t *testing.T) {
	process.InEveryShape(t, func(t *testing.T, stores runtime.Stores) {
		ctx := t.Context()
		if err := BindCaches(stores); err != nil {
			t.Fatal(err)
		}
		if p, err := GetOrSetPair(ctx, int64(1), "2"); err != nil || p.Total != 2 {
			t.Fatal(p, err)
		}
		for name, has := range map[string]func() (bool, error){
			"int64, string":   func() (bool, error) { return HasCachedPair(ctx, int64(1), "2") },
			"string, string":  func() (bool, error) { return HasCachedPair(ctx, "1", "2") },
			"string, int64":   func() (bool, error) { return HasCachedPair(ctx, "1", int64(2)) },
			"int64, UserName": func() (bool, error) { return HasCachedPair(ctx, int64(1), UserName("2")) },
		} {
			if ok, err := has(); ok != (name == "int64, string") || err != nil {
				t.Errorf("%s: %v, %v", name, ok, err)
			}
		}
	})
}

func TestAnUnexportedFunction(t *testing.T) {
	process.InEveryShape(t, func(t *testing.T, stores runtime.Stores) {
		ctx := t.Context()
		if err := BindCaches(stores); err != nil {
			t.Fatal(err)
		}
		wantMore(t, &counts, 1, func() {
			for range 2 {
				if n, err := getOrSetCount(ctx, UserName("four")); n != 4 || err != nil {
					t.Fatal(n, err)
				}
			}
		})
		if n, err := cachedRecount(ctx, "four"); n != -1 || err != nil {
			t.Fatal(n, err)
		}
		if n, err := getOrSetCount(ctx, "four"); n != -1 || err != nil {
			t.Error(n, err)
		}
	})
}
