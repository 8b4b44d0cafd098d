package postgres_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"time"

	"github.com/cachegen/cachegen/drivers/memory"
	"github.com/cachegen/cachegen/drivers/postgres"
	"github.com/cachegen/cachegen/runtime"
)

// The program imports the database/sql driver: _ "github.com/jackc/pgx/v5/stdlib".
func Example() {
	// The name "pgx" is registered by the import of github.com/jackc/pgx/v5/stdlib.
	db, err := sql.Open("pgx", os.Getenv("DATABASE_URL"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close() // after the stores

	stores, err := runtime.OpenStore("main",
		runtime.L1(memory.New(memory.Options{MaxSize: "100mb"})),
		runtime.L2(postgres.New(db, postgres.Options{Table: "cache", PruneEvery: time.Hour})),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer stores.Close(context.Background())
	// Give stores to the generated constructors.
}

// A program that keeps its schema in migrations takes the statements from here, and sets
// Options.SkipCreate.
func ExampleSchema() {
	for _, statement := range postgres.Schema("cache") {
		fmt.Println(statement + ";")
	}
	// Output:
	// CREATE TABLE IF NOT EXISTS "cache" (
	// 	name bytea NOT NULL PRIMARY KEY,
	// 	rest bytea,
	// 	value bytea NOT NULL,
	// 	expires bigint NOT NULL,
	// 	lease bytea,
	// 	lease_until bigint NOT NULL DEFAULT 0
	// );
	// CREATE INDEX IF NOT EXISTS "cache_expires" ON "cache" (expires);
}
