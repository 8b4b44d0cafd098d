package runtime_test

import (
	"context"
	"fmt"

	"github.com/cachegen/cachegen/drivers/memory"
	"github.com/cachegen/cachegen/runtime"
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
