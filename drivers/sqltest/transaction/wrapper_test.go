package transaction_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"

	"github.com/cachegen/cachegen/drivers/memory"
	"github.com/cachegen/cachegen/generated_test/accounts"
	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/transaction"
)

// race R6: a generated wrapper, bound to a transaction of a real database, reads what that has written;
// others read what is committed, before and after the commit; and a rollback changes nothing.
func TestAWrapperOfATransactionOnARealDatabase(t *testing.T) {
	for name, open := range map[string]func(*testing.T, string) *database{
		"sqlite3": sqliteDatabase, "sqlite": sqliteDatabase, "mysql": mariaDatabase,
	} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			db := open(t, name).admin
			for _, statement := range []string{
				"DROP TABLE IF EXISTS accounts",
				"CREATE TABLE accounts (id BIGINT PRIMARY KEY, balance BIGINT NOT NULL)",
				"INSERT INTO accounts (id, balance) VALUES (1, 100), (2, 100)",
			} {
				if _, err := db.ExecContext(ctx, statement); err != nil {
					t.Fatal(err)
				}
			}
			stores, err := runtime.OpenStore("main", runtime.L1(memory.New(memory.Options{MaxSize: "1mb"})))
			if err != nil {
				t.Fatal(err)
			}
			defer stores.Close(context.Background())
			if err := accounts.BindCaches(stores); err != nil {
				t.Fatal(err)
			}
			queries, err := accounts.NewCachedQueries(accounts.New(db), stores)
			if err != nil {
				t.Fatal(err)
			}
			read := func(q *accounts.CachedQueries, balance, sum int64) {
				t.Helper()
				if account, err := q.GetAccount(ctx, 1); err != nil || account.Balance != balance {
					t.Errorf("got %v, %v, want %d", account, err, balance)
				}
				if got, err := q.SumBalances(ctx); err != nil || got != sum {
					t.Errorf("got the sum %v, %v, want %d", got, err, sum)
				}
			}
			read(queries, 100, 200)
			errUndo := errors.New("undo")
			for _, fails := range []error{errUndo, nil} {
				loads := queries.Count.Load()
				err := transaction.SQL(ctx, db, nil, func(inside context.Context, tx *sql.Tx) error {
					bound := queries.WithTx(tx)
					if err := bound.SetBalance(inside, 1, 30); err != nil {
						return err
					}
					read(bound, 30, 130)
					read(queries, 100, 200)
					return fails
				})
				if err != fails {
					t.Fatal(err)
				}
				if n := queries.Count.Load() - loads; n != 2 {
					t.Errorf("%d queries, want the 2 inside of the transaction", n)
				}
				if fails != nil {
					read(queries, 100, 200)
				}
			}
			read(queries, 30, 130)
		})
	}
}
