package accounts

import (
	"context"
	"database/sql"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cachegen/cachegen/generated_test/internal/fakesql"
	"github.com/cachegen/cachegen/generated_test/internal/process"
	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/transaction"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A bank has a database with accounts 1 and 2, of which each has 100, and caches in front of it.
type bank struct {
	*testing.T
	db      *sql.DB
	queries *CachedQueries
	book    *CachedBook
}

// inEveryShape runs f in virtual time, once for each shape of a store.
func inEveryShape(t *testing.T, f func(b bank)) {
	process.InEveryShape(t, func(t *testing.T, stores runtime.Stores) {
		db := fakesql.Open(map[int64]int64{1: 100, 2: 100})
		t.Cleanup(func() { _ = db.Close() })
		if err := BindCaches(stores); err != nil {
			t.Fatal(err)
		}
		queries, err := NewCachedQueries(New(db), stores)
		if err != nil {
			t.Fatal(err)
		}
		book, err := NewCachedBook(&Book{Queries: New(db)}, stores)
		if err != nil {
			t.Fatal(err)
		}
		f(bank{t, db, queries, book})
	})
}

// begin begins a transaction that ends with the test, and a context that collects for it.
func (b bank) begin() (context.Context, *sql.Tx, *runtime.Collected) {
	b.Helper()
	ctx, collected := runtime.Collect(b.Context())
	tx, err := b.db.BeginTx(ctx, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = tx.Rollback()
		collected.Rollback()
	})
	return ctx, tx, collected
}

// reads expects what a read gets, and of how many queries.
func reads[V comparable](b bank, wanted V, queries int64, read func() (V, error)) {
	b.Helper()
	before := b.queries.Count.Load()
	if got, err := read(); err != nil || got != wanted {
		b.Errorf("got %v, %v, want %v", got, err, wanted)
	}
	if n := b.queries.Count.Load() - before; n != queries {
		b.Errorf("%d queries, want %d", n, queries)
	}
}

func (b bank) account(ctx context.Context, q *CachedQueries, id int64) func() (Account, error) {
	return func() (Account, error) { return q.GetAccount(ctx, id) }
}

func (b bank) sum(ctx context.Context, q *CachedQueries) func() (int64, error) {
	return func() (int64, error) { return q.SumBalances(ctx) }
}

func (b bank) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// race R6: a reader inside a transaction sees what only that has written. It gets nothing from the
// cache, also of what the transaction has not changed, and nobody else gets what it has read.
func TestReadersInsideATransactionBypassTheCache(t *testing.T) {
	inEveryShape(t, func(b bank) {
		ctx := b.Context()
		reads(b, Account{1, 100}, 1, b.account(ctx, b.queries, 1))
		collecting, tx, _ := b.begin()
		inside := b.queries.WithTx(tx)
		b.must(inside.Queries.SetBalance(ctx, 1, 30)) // in a way that no wrapper sees
		b.must(inside.Queries.SetBalance(ctx, 3, 7))
		for _, in := range []context.Context{ctx, collecting} {
			for range 2 { // what has been read is not kept
				reads(b, Account{1, 30}, 1, b.account(in, inside, 1))
				reads(b, Account{2, 100}, 1, b.account(in, inside, 2))
				reads(b, Account{3, 7}, 1, b.account(in, inside, 3))
				reads(b, 137, 1, b.sum(in, inside))
				reads(b, 4, 3+1, func() (int, error) {
					found, err := inside.ListAccounts(in, []int64{1, 2, 3, 4})
					if found[1].Balance != 30 || found[2].Balance != 100 || found[3].Balance != 7 {
						b.Error(found)
					}
					return len(found) + 1, err
				})
				if _, err := inside.GetAccount(in, 4); !errors.Is(err, sql.ErrNoRows) {
					b.Error(err)
				}
				if account, ok, err := inside.GetCachedAccount(in, 1, runtime.AllowStale()); ok || err != nil {
					b.Error(account, ok, err)
				}
				if has, err := inside.HasCachedAccount(in, 1); has || err != nil {
					b.Error(has, err)
				}
			}
		}
		reads(b, Account{1, 100}, 0, b.account(ctx, b.queries, 1))
		reads(b, Account{2, 100}, 1, b.account(ctx, b.queries, 2))
		reads(b, 200, 1, b.sum(ctx, b.queries))
		if _, err := b.queries.GetAccount(ctx, 3); !errors.Is(err, sql.ErrNoRows) {
			b.Error("a row that nobody has committed is in the cache:", err)
		}
		b.must(b.queries.SetBalance(ctx, 4, 1))
		reads(b, Account{4, 1}, 1, b.account(ctx, b.queries, 4)) // that there was none has not been kept either
	})
}

// race R6: between the write and the commit others read the old row, from the cache, by loads, and by
// loads that end after the commit. After the commit nobody reads it again.
func TestWhatOthersReadBeforeTheCommitIsGoneAfterIt(t *testing.T) {
	inEveryShape(t, func(b bank) {
		ctx := b.Context()
		limit, err := GetOrSetLimit(ctx, 1)
		b.must(err)
		collecting, tx, collected := b.begin()
		inside := b.queries.WithTx(tx)
		b.must(inside.SetBalance(collecting, 1, 30))
		reads(b, Account{1, 100}, 1, b.account(ctx, b.queries, 1))
		reads(b, 200, 1, b.sum(ctx, b.queries))
		reads(b, Account{1, 100}, 0, b.account(ctx, b.queries, 1))
		reads(b, Account{1, 100}, 1, func() (Account, error) {
			return b.queries.GetOrSetAccount(ctx, 1, runtime.ForceFresh())
		})
		reads(b, limit, 0, func() (int64, error) { return GetOrSetLimit(ctx, 1) })

		// One begins to load before the commit, and ends after it.
		read, proceed, late := make(chan struct{}), make(chan struct{}), make(chan Account)
		go func() {
			account, err := b.queries.Account.GetOrSet(ctx, AccountKey{1}, func(ctx context.Context) (Account, error) {
				account, err := b.queries.Queries.GetAccount(ctx, 1)
				close(read)
				<-proceed
				return account, err
			}, runtime.ForceFresh())
			if err != nil {
				b.Error(err)
			}
			late <- account
		}()
		<-read
		b.must(tx.Commit())
		b.must(collected.Commit(ctx))
		close(proceed)
		if account := <-late; account.Balance != 100 {
			b.Errorf("the late load has read %v", account)
		}
		reads(b, Account{1, 30}, 1, b.account(ctx, b.queries, 1))
		reads(b, Account{1, 30}, 0, b.account(ctx, b.queries, 1))
		reads(b, 130, 1, b.sum(ctx, b.queries))
		reads(b, limit+1, 0, func() (int64, error) { return GetOrSetLimit(ctx, 1) })
	})
}

// race R6: a transaction that is rolled back has changed nothing, so nothing is loaded again, and what
// it has set is nowhere.
func TestARollbackInvalidatesNothing(t *testing.T) {
	inEveryShape(t, func(b bank) {
		ctx := b.Context()
		limit, err := GetOrSetLimit(ctx, 1)
		b.must(err)
		reads(b, Account{1, 100}, 1, b.account(ctx, b.queries, 1))
		reads(b, 200, 1, b.sum(ctx, b.queries))
		collecting, tx, collected := b.begin()
		inside := b.queries.WithTx(tx)
		b.must(inside.SetBalance(collecting, 1, 30))
		if _, err := inside.Open(collecting, 3); err != nil {
			b.Fatal(err)
		}
		b.must(inside.DeleteCachedAccount(collecting, 1))
		b.must(inside.SetCachedAccount(collecting, 2, Account{2, 5}))
		b.must(tx.Rollback())
		collected.Rollback()
		reads(b, Account{1, 100}, 0, b.account(ctx, b.queries, 1))
		reads(b, Account{2, 100}, 1, b.account(ctx, b.queries, 2))
		reads(b, 200, 0, b.sum(ctx, b.queries))
		reads(b, limit, 0, func() (int64, error) { return GetOrSetLimit(ctx, 1) })
		if _, err := b.queries.GetAccount(ctx, 3); !errors.Is(err, sql.ErrNoRows) {
			b.Error(err)
		}
	})
}

// With a context that holds nothing, a writer inside a transaction fails, and the caches are as they
// were: those of the wrapper, and those of functions, which its writers change, too.
func TestAWriterInsideATransactionFailsIfNothingHoldsItsChanges(t *testing.T) {
	inEveryShape(t, func(b bank) {
		ctx := b.Context()
		limit, err := GetOrSetLimit(ctx, 1)
		b.must(err)
		reads(b, Account{1, 100}, 1, b.account(ctx, b.queries, 1))
		_, tx, _ := b.begin()
		inside := b.queries.WithTx(tx)
		_, errOpen := inside.Open(ctx, 3)
		for _, err := range []error{
			inside.SetBalance(ctx, 1, 30), inside.DeleteCachedAccount(ctx, 1), inside.SetCachedAccount(ctx, 1, Account{}), errOpen,
			b.book.WithTx(tx).Pay(ctx, 1, 2, 1), CachedReset(ctx, tx, 1),
		} {
			if !errors.Is(err, runtime.ErrNotCollected) {
				b.Errorf("got %v", err)
			}
		}
		reads(b, Account{1, 100}, 0, b.account(ctx, b.queries, 1))
		reads(b, limit, 0, func() (int64, error) { return GetOrSetLimit(ctx, 1) })
	})
}

// Package transaction makes the context, and carries out what its commit makes true: for a wrapper that
// is returned as an interface, too.
func TestAWrapperIsUsedInATransactionOfPackageTransaction(t *testing.T) {
	inEveryShape(t, func(b bank) {
		ctx := b.Context()
		balance := func(ctx context.Context, l Ledger) func() (int64, error) {
			return func() (int64, error) { return l.Balance(ctx, 1) }
		}
		errPoor := errors.New("there is not enough")
		pays := func(amount int64) error {
			return transaction.SQL(ctx, b.db, nil, func(collecting context.Context, tx *sql.Tx) error {
				ledger := b.book.WithTx(tx)
				if err := ledger.Pay(collecting, 1, 2, amount); err != nil {
					return err
				}
				left, err := ledger.Balance(collecting, 1)
				reads(b, 100, 0, balance(ctx, b.book)) // for others nothing has happened
				if err == nil && left < 0 {
					err = errPoor
				}
				return err
			})
		}
		reads(b, 100, 0, balance(ctx, b.book))
		reads(b, Account{2, 100}, 1, b.account(ctx, b.queries, 2))
		if err := pays(101); err != errPoor {
			b.Fatal(err)
		}
		reads(b, 100, 0, balance(ctx, b.book))
		reads(b, Account{2, 100}, 0, b.account(ctx, b.queries, 2))
		b.must(pays(40))
		reads(b, 60, 0, balance(ctx, b.book))
		reads(b, Account{2, 140}, 1, b.account(ctx, b.queries, 2))

		b.must(transaction.SQL(ctx, b.db, nil, func(collecting context.Context, tx *sql.Tx) error {
			defer reads(b, 60, 0, balance(ctx, b.book))
			return CachedReset(collecting, tx, 1)
		}))
		reads(b, 0, 0, balance(ctx, b.book))
	})
}

// Without a transaction, a wrapper is as the one that it was made of.
func TestAWrapperOfNoTransactionUsesTheCache(t *testing.T) {
	inEveryShape(t, func(b bank) {
		ctx := b.Context()
		reads(b, Account{1, 100}, 1, b.account(ctx, b.queries, 1))
		none := b.queries.WithTx(nil)
		none.db = b.db
		reads(b, Account{1, 100}, 0, b.account(ctx, none, 1))
		b.must(none.SetBalance(ctx, 1, 30))
		reads(b, Account{1, 30}, 1, b.account(ctx, b.queries, 1))
		_, tx, _ := b.begin()
		still := b.queries.WithTx(tx).WithTx(nil)
		if err := still.DeleteCachedAccount(ctx, 1); !errors.Is(err, runtime.ErrNotCollected) {
			b.Error("a wrapper of a transaction has left it:", err)
		}
	})
}

// race R6: many transactions, of which half are rolled back, and many readers: when all have ended, and
// whenever one has committed, nobody reads from before it.
func TestReadersSeeEveryCommitThatHasReturned(t *testing.T) {
	inEveryShape(t, func(b bank) {
		ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
		defer cancel()
		var committed atomic.Int64
		committed.Store(100)
		done := make(chan struct{})
		for range 4 {
			go func() {
				defer func() { done <- struct{}{} }()
				for ctx.Err() == nil {
					least := committed.Load()
					account, err := b.queries.GetAccount(b.Context(), 1)
					if err != nil || account.Balance < least {
						b.Errorf("%v, %v, but %d was committed", account, err, least)
						return
					}
					time.Sleep(time.Millisecond)
				}
			}()
		}
		for i := int64(101); i < 200; i++ {
			collecting, tx, collected := b.begin()
			inside := b.queries.WithTx(tx)
			b.must(inside.SetBalance(collecting, 1, i))
			time.Sleep(3 * time.Millisecond)
			if account, err := inside.GetAccount(collecting, 1); err != nil || account.Balance != i {
				b.Errorf("inside of it: %v, %v, want %d", account, err, i)
			}
			if i%2 == 0 {
				b.must(tx.Rollback())
				collected.Rollback()
				continue
			}
			b.must(tx.Commit())
			b.must(collected.Commit(ctx))
			committed.Store(i)
		}
		cancel()
		for range 4 {
			<-done
		}
	})
}
