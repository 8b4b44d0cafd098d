package transaction_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	goruntime "runtime"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/cachegen/cachegen/drivers/memory"
	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/collect"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
	"github.com/cachegen/cachegen/runtime/transaction"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// libraries run a transaction in each library. inner runs one inside it, on what that is given.
var libraries = map[string]func(ctx context.Context, d *database, body func(ctx context.Context, inner runner) error) error{
	"SQL": func(ctx context.Context, d *database, body func(context.Context, runner) error) error {
		db := d.open()
		defer db.Close()
		return transaction.SQL(ctx, db, nil, func(ctx context.Context, tx *sql.Tx) error { return body(ctx, nil) })
	},
	"SQLX": func(ctx context.Context, d *database, body func(context.Context, runner) error) error {
		return transaction.SQLX(ctx, &likeSQLX{d}, nil, func(ctx context.Context, tx *execTx) error { return body(ctx, nil) })
	},
	"Ent": func(ctx context.Context, d *database, body func(context.Context, runner) error) error {
		return transaction.Ent(ctx, &likeEnt{d}, nil, func(ctx context.Context, tx *dialectTx) error { return body(ctx, nil) })
	},
	"PGX": func(ctx context.Context, d *database, body func(context.Context, runner) error) error {
		return transaction.PGX(ctx, &likePGX{d}, func(ctx context.Context, tx pgxTx) error {
			return body(ctx, func(ctx context.Context, body func(context.Context) error) error {
				return transaction.PGX(ctx, tx, func(ctx context.Context, _ pgxTx) error { return body(ctx) })
			})
		})
	},
	"PGXWith": func(ctx context.Context, d *database, body func(context.Context, runner) error) error {
		return transaction.PGXWith(ctx, &likePGX{d}, pgxOptions{"serializable"}, func(ctx context.Context, tx pgxTx) error { return body(ctx, nil) })
	},
	"GORM": func(ctx context.Context, d *database, body func(context.Context, runner) error) error {
		return transaction.GORM(ctx, &likeGORM{database: d}, func(ctx context.Context, tx *likeGORM) error {
			return body(ctx, func(ctx context.Context, body func(context.Context) error) error {
				return transaction.GORM(ctx, tx, func(ctx context.Context, _ *likeGORM) error { return body(ctx) })
			})
		}, &sql.TxOptions{ReadOnly: false})
	},
	"Bun": func(ctx context.Context, d *database, body func(context.Context, runner) error) error {
		return transaction.Bun(ctx, &likeBun{d}, nil, func(ctx context.Context, tx bunTx) error {
			return body(ctx, func(ctx context.Context, body func(context.Context) error) error {
				return transaction.Bun(ctx, tx, nil, func(ctx context.Context, _ bunTx) error { return body(ctx) })
			})
		})
	},
}

// A runner runs a part of a transaction; nil where the library has none.
type runner func(ctx context.Context, body func(context.Context) error) error

type run func(ctx context.Context, d *database, body func(ctx context.Context, inner runner) error) error

func inEveryLibrary(t *testing.T, f func(t *testing.T, run run)) {
	for name, run := range libraries {
		t.Run(name, func(t *testing.T) { f(t, run) })
	}
}

// newCache returns a cache in which the keys 1 to 9 have their values.
func newCache(t *testing.T, options ...runtime.StoreOption) *runtime.Cache[int, int] {
	t.Helper()
	store, err := runtime.NewStore("test", append([]runtime.StoreOption{runtime.L1(memory.New(memory.Options{}))}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	c, err := runtime.NewCache[int, int](store, "numbers")
	if err != nil {
		t.Fatal(err)
	}
	for key := 1; key < 10; key++ {
		if err := c.Set(t.Context(), key, key); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// has fails if the cache has not the values of keys, or, for the value 0, has one.
func has(t *testing.T, c *runtime.Cache[int, int], wanted map[int]int) {
	t.Helper()
	for key, v := range wanted {
		if got, ok, err := c.Get(t.Context(), key); err != nil || got != v || ok != (v != 0) {
			t.Errorf("key %d: got %d, %v, %v, want %d", key, got, ok, err, v)
		}
	}
}

// change deletes key 1 and sets key 2, which wait for the end of the transaction of ctx.
func change(ctx context.Context, t *testing.T, c *runtime.Cache[int, int]) {
	t.Helper()
	if err := errors.Join(c.Delete(ctx, 1), c.Set(ctx, 2, 20)); err != nil {
		t.Error(err)
	}
	has(t, c, map[int]int{1: 1, 2: 2})
}

var errBody = errors.New("the body has failed")

// What has become of the keys that change changes.
var (
	committed = map[int]int{1: 0, 2: 20}
	dropped   = map[int]int{1: 1, 2: 2}
	deleted   = map[int]int{1: 0, 2: 0}
)

// race R6: invalidations come after the commit, and only if the transaction may have been committed.
func TestWhatIsCollectedFollowsTheEndOfTheTransaction(t *testing.T) {
	for name, test := range map[string]struct {
		begin, commit, rollback, body error

		did  string
		err  error
		want map[int]int
	}{
		"committed":                    {did: "begin commit", want: committed},
		"the body fails":               {body: errBody, did: "begin rollback", err: errBody, want: dropped},
		"it cannot begin":              {begin: driver.ErrSkip, did: "begin", err: driver.ErrSkip, want: dropped},
		"a constraint":                 {commit: stateError("23503"), did: "begin commit", err: stateError("23503"), want: dropped},
		"a serialization failure":      {commit: fmt.Errorf("commit: %w", stateError("40001")), did: "begin commit", err: stateError("40001"), want: dropped},
		"the outcome is unknown":       {commit: stateError("40003"), did: "begin commit", err: stateError("40003"), want: deleted},
		"the server is shut down":      {commit: stateError("57P01"), did: "begin commit", err: stateError("57P01"), want: deleted},
		"the connection is lost":       {commit: errors.New("broken pipe"), did: "begin commit", want: deleted},
		"a short state":                {commit: stateError("23"), did: "begin commit", want: deleted},
		"the commit is given up":       {commit: context.DeadlineExceeded, did: "begin commit", err: context.DeadlineExceeded, want: deleted},
		"lost after a body has failed": {rollback: errors.New("broken pipe"), body: errBody, did: "begin rollback", err: errBody, want: dropped},
	} {
		t.Run(name, func(t *testing.T) {
			inEveryLibrary(t, func(t *testing.T, run run) {
				db := &database{beginErr: test.begin, commitErr: test.commit, rollbackErr: test.rollback}
				c := newCache(t)
				db.onCommit = func() { has(t, c, dropped) }
				err := run(t.Context(), db, func(ctx context.Context, _ runner) error {
					change(ctx, t, c)
					return test.body
				})
				wanted := test.err
				if wanted == nil {
					wanted = db.commitErr
				}
				if !errors.Is(err, wanted) {
					t.Errorf("got %v, want %v", err, wanted)
				}
				did := slices.DeleteFunc(db.did, func(s string) bool { return s == "serializable" })
				if got := strings.Join(did, " "); !strings.HasPrefix(got, test.did) || strings.Contains(got, "commit") != strings.Contains(test.did, "commit") {
					t.Errorf("it did: %s; want %s", got, test.did)
				}
				state := test.want
				if test.rollback != nil && !strings.HasSuffix(t.Name(), "/GORM") && !strings.HasSuffix(t.Name(), "/Bun") {
					state = deleted // who hears of it does not know what the body has done
				}
				has(t, c, state)
			})
		})
	}
}

// Errors stay what they are: programs compare them, and try again.
func TestErrorsAreReturnedAsTheyAre(t *testing.T) {
	inEveryLibrary(t, func(t *testing.T, run run) {
		c := newCache(t)
		if err := run(t.Context(), &database{}, func(context.Context, runner) error { return errBody }); err != errBody {
			t.Errorf("%T %v", err, err)
		}
		for _, commitErr := range []error{stateError("40001"), errors.New("broken pipe")} {
			err := run(t.Context(), &database{commitErr: commitErr}, func(ctx context.Context, _ runner) error { change(ctx, t, c); return nil })
			if err != commitErr {
				t.Errorf("%T %v", err, err)
			}
			if err := c.Set(t.Context(), 1, 1); err != nil {
				t.Fatal(err)
			}
			if err := c.Set(t.Context(), 2, 2); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestAPanicRollsBack(t *testing.T) {
	inEveryLibrary(t, func(t *testing.T, run run) {
		c, db := newCache(t), &database{}
		func() {
			defer func() {
				if p := recover(); p != "boom" {
					t.Errorf("panicked with %v", p)
				}
			}()
			_ = run(t.Context(), db, func(ctx context.Context, _ runner) error {
				change(ctx, t, c)
				panic("boom")
			})
		}()
		has(t, c, dropped)
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = run(t.Context(), db, func(ctx context.Context, _ runner) error {
				change(ctx, t, c)
				goruntime.Goexit()
				return nil
			})
		}()
		<-done
		has(t, c, dropped)
		if slices.Contains(db.did, "commit") || !slices.Contains(db.did, "rollback") {
			t.Error(db.did)
		}
	})
}

// A transaction that is tried again begins with nothing collected.
func TestEachAttemptHasItsOwnCollection(t *testing.T) {
	inEveryLibrary(t, func(t *testing.T, run run) {
		c, db := newCache(t), &database{commitErr: stateError("40001")}
		attempts := 0
		for {
			err := run(t.Context(), db, func(ctx context.Context, _ runner) error {
				attempts++
				return c.Delete(ctx, attempts)
			})
			if err == nil {
				break
			}
			if !errors.Is(err, stateError("40001")) {
				t.Fatal(err)
			}
			if attempts == 2 {
				db.commitErr = nil
			}
		}
		has(t, c, map[int]int{1: 1, 2: 2, 3: 0, 4: 4})
	})
}

// So it is if the library tries again by itself.
func TestEachAttemptOfALibraryHasItsOwnCollection(t *testing.T) {
	c, db := newCache(t), &likeGORM{database: &database{commitErr: errors.New("broken pipe")}, attempts: 3}
	attempts := 0
	err := transaction.GORM(t.Context(), db, func(ctx context.Context, _ *likeGORM) error {
		if attempts++; attempts == 2 {
			db.commitErr = nil
			return errBody
		}
		return c.Delete(ctx, attempts)
	})
	if err != nil || attempts != 3 {
		t.Fatal(err, attempts)
	}
	has(t, c, map[int]int{1: 1, 2: 2, 3: 0})
	if collect.Open() {
		t.Error("an attempt has not ended")
	}
}

// A savepoint is a part of its transaction.
func TestASavepointWaitsForItsTransaction(t *testing.T) {
	inEveryLibrary(t, func(t *testing.T, run run) {
		for _, outer := range []error{nil, errBody} {
			c, db := newCache(t), &database{}
			err := run(t.Context(), db, func(ctx context.Context, inner runner) error {
				if inner == nil {
					t.Skip("the library has no savepoints")
				}
				if err := inner(ctx, func(ctx context.Context) error { change(ctx, t, c); return nil }); err != nil {
					t.Error(err)
				}
				has(t, c, dropped)
				if err := inner(ctx, func(ctx context.Context) error { return errors.Join(c.Delete(ctx, 3), errBody) }); !errors.Is(err, errBody) {
					t.Error(err)
				}
				return outer
			})
			if !errors.Is(err, outer) || !slices.Contains(db.did, "savepoint") {
				t.Error(err, db.did)
			}
			has(t, c, map[error]map[int]int{nil: committed, errBody: dropped}[outer])
			has(t, c, map[int]int{3: 3})
		}
	})
}

// One on another connection commits by itself. Where that is not known, nothing is set.
func TestATransactionInsideAnotherThatIsNoPartOfIt(t *testing.T) {
	inEveryLibrary(t, func(t *testing.T, outer run) {
		inEveryLibrary(t, func(t *testing.T, inner run) {
			c := newCache(t)
			wanted := deleted
			if strings.HasSuffix(t.Name(), "/SQL") {
				wanted = committed
			}
			err := outer(t.Context(), &database{}, func(ctx context.Context, _ runner) error {
				if err := inner(ctx, &database{}, func(ctx context.Context, _ runner) error { change(ctx, t, c); return nil }); err != nil {
					t.Error(err)
				}
				has(t, c, wanted)
				// Somebody loads what a savepoint has not committed.
				return errors.Join(c.Set(t.Context(), 1, 100), c.Set(t.Context(), 2, 200))
			})
			if err != nil {
				t.Error(err)
			}
			if wanted = (map[int]int{1: 100, 2: 200}); !strings.HasSuffix(t.Name(), "/SQL") {
				wanted = deleted
			}
			has(t, c, wanted)
		})
	})
}

// A transaction that was committed is not to be tried again although a cache was not reached.
func TestAnErrorOfTheCacheComesAfterTheCommit(t *testing.T) {
	inEveryLibrary(t, func(t *testing.T, run run) {
		var shared faketier.Shared
		c, db := newCache(t, runtime.L2(&shared)), &database{}
		err := run(t.Context(), db, func(ctx context.Context, _ runner) error {
			shared.Down(errors.New("down"))
			return c.Delete(ctx, 1)
		})
		var failed *runtime.InvalidationError
		if !errors.As(err, &failed) || !slices.Contains(db.did, "commit") || slices.Contains(db.did, "rollback") {
			t.Error(err, db.did)
		}
		shared.Down(nil)
		has(t, c, map[int]int{1: 0})
	})
}

// A body that ends the transaction by itself has done something that nobody knows.
func TestABodyThatHasCommittedByItself(t *testing.T) {
	c, db := newCache(t), (&database{}).open()
	defer db.Close()
	for _, bodyErr := range []error{nil, errBody} {
		err := transaction.SQL(t.Context(), db, nil, func(ctx context.Context, tx *sql.Tx) error {
			change(ctx, t, c)
			return errors.Join(tx.Commit(), bodyErr)
		})
		if bodyErr == nil {
			bodyErr = sql.ErrTxDone
		}
		if !errors.Is(err, bodyErr) {
			t.Error(err)
		}
		has(t, c, deleted)
		if err := errors.Join(c.Set(t.Context(), 1, 1), c.Set(t.Context(), 2, 2)); err != nil {
			t.Fatal(err)
		}
	}
}

// A caller that gives up is no reason to delete: nothing has been committed.
func TestACallerThatGivesUpRollsBack(t *testing.T) {
	inEveryLibrary(t, func(t *testing.T, run run) {
		c, db := newCache(t), &database{}
		ctx, cancel := context.WithCancel(t.Context())
		err := run(ctx, db, func(ctx context.Context, _ runner) error {
			change(ctx, t, c)
			cancel()
			for strings.HasSuffix(t.Name(), "/SQL") && !db.has("rollback") { // which database/sql does by itself
				goruntime.Gosched()
			}
			return ctx.Err()
		})
		if !errors.Is(err, context.Canceled) || db.has("commit") || !db.has("rollback") {
			t.Error(err, db.did)
		}
		has(t, c, dropped)
	})
}

func TestSettleEndsWhatAProgramHasCollected(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		want map[int]int
	}{
		"nil": {nil, committed}, "clear": {stateError("40001"), dropped}, "unclear": {errBody, deleted},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCache(t)
			ctx, collected := runtime.Collect(t.Context())
			defer collected.Rollback()
			change(ctx, t, c)
			if err := transaction.Settle(ctx, collected, test.err); err != test.err {
				t.Error(err)
			}
			has(t, c, test.want)
			if err := transaction.Settle(ctx, collected, nil); !errors.Is(err, runtime.ErrCollectDone) {
				t.Error(err)
			}
		})
	}
}

// A commit that panics may have been made, as by a library that calls its hooks after it.
func TestACommitThatPanicsMayHaveBeenMade(t *testing.T) {
	inEveryLibrary(t, func(t *testing.T, run run) {
		c := newCache(t)
		d := &database{onCommit: func() { panic("hook") }}
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic is gone")
				}
			}()
			_ = run(t.Context(), d, func(ctx context.Context, _ runner) error { return c.Delete(ctx, 1) })
		}()
		if _, ok, _ := c.Get(t.Context(), 1); ok {
			t.Error("it is not invalidated")
		}
	})
}
