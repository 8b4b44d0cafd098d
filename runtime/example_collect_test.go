package runtime_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"

	"github.com/cachegen/cachegen/drivers/memory"
	"github.com/cachegen/cachegen/drivers/postgres"
	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/transaction"
)

// accounts stands for a database: what a transaction writes, others see after its commit.
type accounts struct{ committed, written int }

func (a *accounts) load(context.Context) (int, error) { return a.committed, nil }

func ExampleCollect() {
	ctx := context.Background()
	store, err := runtime.NewStore("main", runtime.L1(memory.New(memory.Options{})))
	if err != nil {
		panic(err)
	}
	defer store.Close(ctx)
	balances, err := runtime.NewCache[string, int](store, "balances")
	if err != nil {
		panic(err)
	}
	db := &accounts{committed: 100}
	show := func(when string) {
		balance, err := balances.GetOrSet(ctx, "alice", db.load)
		fmt.Println(when, balance, err)
	}
	pay := func(ctx context.Context, amount int) error {
		ctx, collected := runtime.Collect(ctx)
		defer collected.Rollback() // does nothing after Commit
		db.written = db.committed - amount
		if err := balances.Delete(ctx, "alice"); err != nil { // held
			return err
		}
		show("before the commit:")
		db.committed = db.written // tx.Commit()
		return collected.Commit(ctx)
	}
	if err := pay(ctx, 30); err != nil {
		panic(err)
	}
	show("after the commit:")
	// Output:
	// before the commit: 100 <nil>
	// after the commit: 70 <nil>
}

// The store's data are in one PostgreSQL, and so is the outbox. The functions of package transaction
// write into it.
func ExampleOutbox() {
	db, err := sql.Open("pgx", os.Getenv("DATABASE_URL"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close() // after the store
	store, err := runtime.NewStore("main",
		runtime.L1(memory.New(memory.Options{})),
		runtime.Outbox(postgres.NewOutbox(db, postgres.OutboxOptions{})),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	defer store.Close(ctx)
	err = transaction.SQL(ctx, db, nil, func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "UPDATE prices SET amount = amount * 2"); err != nil {
			return err
		}
		return store.DeleteByTag(ctx, "prices")
	})
	if err != nil {
		fmt.Println(err)
	}
}

// A program that commits by itself writes into the outbox last before the commit.
func ExampleCollected_WriteOutbox() {
	double := func(ctx context.Context, db *sql.DB, store *runtime.Store) error {
		ctx, collected := runtime.Collect(ctx)
		defer collected.Rollback() // nothing, at the end
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		if _, err := tx.ExecContext(ctx, "UPDATE prices SET amount = amount * 2"); err != nil {
			return err
		}
		if err := store.DeleteByTag(ctx, "prices"); err != nil {
			return err
		}
		err = collected.WriteOutbox(ctx, func(ctx context.Context, statement string) error {
			_, err := tx.ExecContext(ctx, statement)
			return err
		})
		if err != nil {
			return err
		}
		return transaction.Settle(ctx, collected, tx.Commit())
	}
	_ = double
}
