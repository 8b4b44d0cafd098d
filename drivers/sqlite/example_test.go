package sqlite_test

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/cachegen/cachegen/drivers/memory"
	"github.com/cachegen/cachegen/drivers/sqlite"
	"github.com/cachegen/cachegen/runtime"
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
