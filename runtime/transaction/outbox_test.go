package transaction_test

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
	"github.com/cachegen/cachegen/runtime/transaction"
)

// withOutbox returns a cache of a store whose outbox is in db, and which removes nothing from it.
func withOutbox(t *testing.T, db *database) *runtime.Cache[int, int] {
	t.Helper()
	db.outbox.SetBefore(func(op string, _ int) error {
		if op == "remove" {
			return errors.New("a test looks at what there is")
		}
		return nil
	})
	return newCache(t, runtime.Outbox(db.outbox.Process()), runtime.Logger(slog.New(slog.DiscardHandler)))
}

// count returns how often something has been done.
func (d *database) count(what string) (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, did := range d.did {
		if did == what {
			n++
		}
	}
	return n
}

// race R57: what was collected is in the outbox when the database commits: a process that dies then
// has left it to others.
func TestTheOutboxIsWrittenBeforeTheCommit(t *testing.T) {
	inEveryLibrary(t, func(t *testing.T, run run) {
		db := &database{}
		c := withOutbox(t, db)
		db.onCommit = func() {
			if n := db.count("exec"); n != 1 {
				t.Errorf("%d statements before the commit, want 1", n)
			}
			if n := len(db.outbox.Rows()); n > 0 {
				t.Errorf("%d entries are committed before the transaction is", n)
			}
			has(t, c, dropped)
		}
		if err := run(t.Context(), db, func(ctx context.Context, _ runner) error { change(ctx, t, c); return nil }); err != nil {
			t.Fatal(err)
		}
		if n := len(db.outbox.Rows()); n != 1 {
			t.Errorf("the transaction has left %d entries, want 1", n)
		}
		has(t, c, committed)
	})
}

// Exactly what commits is there.
func TestARollbackLeavesNothingInTheOutbox(t *testing.T) {
	inEveryLibrary(t, func(t *testing.T, run run) {
		for _, test := range []struct{ body, commit error }{{body: errBody}, {commit: stateError("40001")}} {
			db := &database{commitErr: test.commit}
			c := withOutbox(t, db)
			err := run(t.Context(), db, func(ctx context.Context, _ runner) error { change(ctx, t, c); return test.body })
			if !errors.Is(err, test.body) && !errors.Is(err, test.commit) {
				t.Error(err)
			}
			if n := len(db.outbox.Rows()); n > 0 {
				t.Errorf("%d entries of a transaction that was rolled back", n)
			}
			if test.body != nil && db.has("exec") {
				t.Error("it was written although the transaction had failed")
			}
			has(t, c, dropped)
		}
	})
}

// A transaction whose changes cannot be left to others is not committed.
func TestAnOutboxThatCannotBeWrittenRollsBack(t *testing.T) {
	full := errors.New("no such table")
	inEveryLibrary(t, func(t *testing.T, run run) {
		db := &database{execErr: full}
		c := withOutbox(t, db)
		err := run(t.Context(), db, func(ctx context.Context, _ runner) error { change(ctx, t, c); return nil })
		if !errors.Is(err, full) || !strings.HasPrefix(err.Error(), "cachegen: write the outbox: ") {
			t.Error(err)
		}
		if db.has("commit") || !db.has("rollback") {
			t.Error(db.did)
		}
		has(t, c, dropped)
	})
}

// A transaction that changes nothing in caches, or whose stores have no outbox, executes nothing.
func TestATransactionExecutesNothingOfItsOwnWithoutNeed(t *testing.T) {
	inEveryLibrary(t, func(t *testing.T, run run) {
		db := &database{}
		c, without := withOutbox(t, db), newCache(t)
		for _, body := range []func(ctx context.Context, _ runner) error{
			func(ctx context.Context, _ runner) error { has(t, c, dropped); return nil },
			func(ctx context.Context, _ runner) error { change(ctx, t, without); return nil },
		} {
			if err := run(t.Context(), db, body); err != nil || db.has("exec") {
				t.Error(err, db.did)
			}
		}
	})
}

// A savepoint's changes are written with those of its transaction, or not at all.
func TestASavepointIsWrittenWithItsTransaction(t *testing.T) {
	inEveryLibrary(t, func(t *testing.T, run run) {
		db := &database{}
		c := withOutbox(t, db)
		err := run(t.Context(), db, func(ctx context.Context, inner runner) error {
			if inner == nil {
				t.Skip("the library has no savepoints")
			}
			if err := inner(ctx, func(ctx context.Context) error { change(ctx, t, c); return nil }); err != nil || db.has("exec") {
				t.Error(err, db.did)
			}
			if err := inner(ctx, func(ctx context.Context) error { return errors.Join(c.Delete(ctx, 3), errBody) }); !errors.Is(err, errBody) {
				t.Error(err)
			}
			return nil
		})
		if n := len(db.outbox.Rows()); err != nil || n != 1 || db.count("exec") != 1 {
			t.Errorf("%d entries: %v %v", n, err, db.did)
		}
		has(t, c, committed)
	})
}

// Of one of which nobody knows whether it is a part of the other, both write.
func TestATransactionThatMayBeAPartOfAnotherIsWrittenWithBoth(t *testing.T) {
	inEveryLibrary(t, func(t *testing.T, run run) {
		if strings.HasSuffix(t.Name(), "/SQL") {
			t.Skip("it is known there")
		}
		outer, inner := &database{}, &database{}
		c := withOutbox(t, outer)
		err := run(t.Context(), outer, func(ctx context.Context, _ runner) error {
			return run(ctx, inner, func(ctx context.Context, _ runner) error { return c.Delete(ctx, 1) })
		})
		if err != nil || outer.count("exec") != 1 || inner.count("exec") != 1 {
			t.Error(err, outer.did, inner.did)
		}
	})
}

// Nobody knows whether it was committed, so entries stay: somebody may see them later.
func TestAnUnclearCommitLeavesItsEntries(t *testing.T) {
	inEveryLibrary(t, func(t *testing.T, run run) {
		db := &database{}
		c := withOutbox(t, db)
		db.onCommit = func() {
			db.commitErr = errors.New("broken pipe")
			db.end((*faketier.Tx).Commit)
		}
		err := run(t.Context(), db, func(ctx context.Context, _ runner) error { change(ctx, t, c); return nil })
		if !errors.Is(err, db.commitErr) || len(db.outbox.Rows()) != 1 || db.outbox.Calls("remove") > 0 {
			t.Error(err, db.outbox.Rows())
		}
		has(t, c, deleted)
	})
}

// Some transactions cannot execute a statement, which says what to do about it. They are used as
// before without an outbox.
func TestATransactionThatCannotExecuteStatements(t *testing.T) {
	for name, run := range map[string]func(ctx context.Context, db *database, body func(context.Context) error) error{
		"Ent": func(ctx context.Context, db *database, body func(context.Context) error) error {
			return transaction.Ent(ctx, &likeEntWithout{db}, nil, func(ctx context.Context, _ *tx) error { return body(ctx) })
		},
		"GORM": func(ctx context.Context, db *database, body func(context.Context) error) error {
			return transaction.GORM(ctx, &otherGORM{db}, func(ctx context.Context, _ *otherGORM) error { return body(ctx) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			db := &database{}
			c, without := withOutbox(t, db), newCache(t)
			if err := run(t.Context(), db, func(ctx context.Context) error { change(ctx, t, without); return nil }); err != nil {
				t.Error(err)
			}
			has(t, without, committed)
			db.did = nil
			err := run(t.Context(), db, func(ctx context.Context) error { change(ctx, t, c); return nil })
			if err == nil || !strings.HasPrefix(err.Error(), "cachegen: write the outbox: ") || !strings.Contains(err.Error(), "_test.") {
				t.Error(err)
			}
			if slices.Contains(db.did, "commit") || !slices.Contains(db.did, "rollback") {
				t.Error(db.did)
			}
			has(t, c, dropped)
		})
	}
}

// An otherGORM has the methods of gorm.DB, and other fields.
type otherGORM struct{ db *database }

func (d *otherGORM) WithContext(context.Context) *otherGORM { return d }

func (d *otherGORM) Transaction(f func(*otherGORM) error, _ ...*sql.TxOptions) error {
	return runInTx(context.Background(), "begin", bunTx{database: d.db}, func(context.Context, bunTx) error { return f(d) })
}

// GORM keeps what it prepares; each statement of an outbox is another one.
func TestAStatementOfTheOutboxIsNotPrepared(t *testing.T) {
	db := &database{}
	c := withOutbox(t, db)
	err := transaction.GORM(t.Context(), &likeGORM{database: db, prepares: true}, func(ctx context.Context, _ *likeGORM) error { return c.Delete(ctx, 1) })
	if err != nil || db.count("exec") != 1 {
		t.Error(err, db.did)
	}
}
