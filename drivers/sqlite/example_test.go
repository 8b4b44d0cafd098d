package sqlite_test

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/cachegen/cachegen/drivers/memory"
	"github.com/cachegen/cachegen/drivers/sqlite"
	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/transaction"
)

// The program imports the database/sql driver: _ "modernc.org/sqlite".
func Example() {
	// The name "sqlite" is registered by the import of modernc.org/sqlite.
	db, err := sql.Open("sqlite", "file:app.db?_pragma=journal_mode(wal)&_pragma=synchronous(normal)")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close() // after the stores

	stores, err := runtime.OpenStore("main",
		runtime.L1(memory.New(memory.Options{MaxSize: "100mb"})),
		runtime.L2(sqlite.New(db, sqlite.Options{Table: "cache", PruneEvery: time.Hour})),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer stores.Close(context.Background())
	// Give stores to the generated constructors.
}

// What a transaction changes in caches is written into the outbox by the transaction itself. So another
// process carries it out if this one dies after the commit.
func ExampleNewOutbox() {
	db, err := sql.Open("sqlite", "file:app.db?_pragma=busy_timeout(10000)&_txlock=immediate")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close() // after the stores

	stores, err := runtime.OpenStore("main",
		runtime.L1(memory.New(memory.Options{MaxSize: "100mb"})),
		runtime.Outbox(sqlite.NewOutbox(db, sqlite.OutboxOptions{})),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	defer stores.Close(ctx)

	err = transaction.SQL(ctx, db, nil, func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "UPDATE users SET name = ? WHERE id = ?", "Ada Lovelace", 7); err != nil {
			return err
		}
		return stores.Default().DeleteByTag(ctx, "user:7") // when it is committed
	})
	if err != nil {
		fmt.Println(err)
	}
}
