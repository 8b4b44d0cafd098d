package transaction_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/cachegen/cachegen/drivers/memory"
	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/transaction"
)

// names returns a cache of the names of users.
func names() (*runtime.Cache[int, string], func()) {
	store, err := runtime.NewStore("main", runtime.L1(memory.New(memory.Options{})))
	if err != nil {
		panic(err)
	}
	c, err := runtime.NewCache[int, string](store, "names")
	if err != nil {
		panic(err)
	}
	return c, func() { _ = store.Close(context.Background()) }
}

func ExampleSQL() {
	ctx := context.Background()
	names, closeStore := names()
	defer closeStore()
	db := new(database).open() // sql.Open("pgx", …)
	defer db.Close()
	if err := names.Set(ctx, 7, "Ada Lovelace"); err != nil {
		panic(err)
	}
	err := transaction.SQL(ctx, db, nil, func(ctx context.Context, tx *sql.Tx) error {
		// tx.ExecContext(ctx, "UPDATE users …")
		if err := names.Delete(ctx, 7); err != nil {
			return err
		}
		fmt.Println(names.Has(context.Background(), 7)) // others have it until the commit
		return nil
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(names.Has(ctx, 7))
	// Output:
	// true <nil>
	// false <nil>
}

// A loop that tries again after a serialization failure works as without a cache. It ends when the
// transaction was committed, also if a cache could not be reached.
func ExampleSQL_again() {
	ctx := context.Background()
	names, closeStore := names()
	defer closeStore()
	server := &database{commitErr: stateError("40001")}
	db := server.open()
	defer db.Close()
	for attempt := 1; ; attempt++ {
		err := transaction.SQL(ctx, db, &sql.TxOptions{Isolation: sql.LevelDefault}, func(ctx context.Context, tx *sql.Tx) error {
			return names.Delete(ctx, 7)
		})
		fmt.Println("attempt", attempt, err)
		var of interface{ SQLState() string }
		if !errors.As(err, &of) || of.SQLState() != "40001" {
			break
		}
		server.commitErr = nil
	}
	// Output:
	// attempt 1 answered 40001
	// attempt 2 <nil>
}

// A program that begins and commits by itself collects by itself, too.
func ExampleSettle() {
	ctx := context.Background()
	names, closeStore := names()
	defer closeStore()
	db := new(database).open()
	defer db.Close()
	rename := func(ctx context.Context, id int) error {
		ctx, collected := runtime.Collect(ctx)
		defer collected.Rollback() // nothing, after Settle
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		if err := names.Delete(ctx, id); err != nil {
			return err
		}
		return transaction.Settle(ctx, collected, tx.Commit())
	}
	fmt.Println(rename(ctx, 7))
	// Output: <nil>
}
