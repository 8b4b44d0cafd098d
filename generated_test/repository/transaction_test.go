package repository

import (
	"testing"

	"github.com/cachegen/cachegen/generated_test/internal/process"
	"github.com/cachegen/cachegen/runtime"
)

// race R6: what a generated writer changes with the context of a transaction is invalidated by its
// commit. Until then generated readers with that context call their loaders, also where memory has
// a value for others.
func TestGeneratedCodeIsUsedInATransaction(t *testing.T) {
	process.InEveryShape(t, func(t *testing.T, stores runtime.Stores) {
		ctx := t.Context()
		users := must[*CachedRepo[int64, *User]](t)(NewCachedRepo(someUsers(), stores))
		name := func(want string, queries int64, find func() (*User, error)) {
			t.Helper()
			wantMore(t, &users.Queries, queries, func() {
				t.Helper()
				if u, err := find(); err != nil || u.Name != want {
					t.Errorf("%v, %v, want %s", u, err, want)
				}
			})
		}
		outside := func() (*User, error) { return users.Find(ctx, 1) }
		name("Ada Lovelace", 1, outside)
		for _, commits := range []bool{false, true} {
			tx, collected := runtime.Collect(ctx)
			inside := func() (*User, error) { return users.Find(tx, 1) }
			name("Ada Lovelace", 0, inside)
			if err := users.SetCachedRow(tx, 2, &User{2, "Bobby", nil}); err != nil {
				t.Fatal(err)
			}
			if err := users.DeleteCachedRow(tx, 1); err != nil { // as a writer does after it has written
				t.Fatal(err)
			}
			name("Ada Lovelace", 1, inside)
			name("Ada Lovelace", 0, outside)
			wantMore(t, &users.Queries, 1, func() {
				if found, err := users.FindAll(tx, 1, 11); err != nil || len(found) != 2 {
					t.Error(found, err)
				}
			})
			if !commits {
				collected.Rollback()
				name("Ada Lovelace", 0, outside)
				continue
			}
			if _, err := users.Repo.Save(ctx, 1, &User{1, "Ada King", nil}); err != nil {
				t.Fatal(err)
			}
			if err := collected.Commit(ctx); err != nil {
				t.Fatal(err)
			}
			name("Ada King", 1, outside)
			if u, ok, err := users.GetCachedRow(ctx, 2); !ok || err != nil || u.Name != "Bobby" {
				t.Error(u, ok, err)
			}
		}
	})
}
