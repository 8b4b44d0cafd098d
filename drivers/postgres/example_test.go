package postgres_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/postgres"
)

// The program imports the database/sql driver: _ "github.com/jackc/pgx/v5/stdlib".
func Example() {
	// The name "pgx" is registered by the import of github.com/jackc/pgx/v5/stdlib.
	db, err := sql.Open("pgx", os.Getenv("DATABASE_URL"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()

	store := postgres.New(db, postgres.Options{Table: "cache", PruneEvery: time.Hour})
	defer store.Close()
	ctx := context.Background()
	err = store.SetMany(ctx, []drivers.Item{{Key: "user:1", Value: []byte("Ada"), TTL: time.Hour}})
	if err != nil {
		fmt.Println(err)
		return
	}
	values, err := store.GetMany(ctx, []string{"user:1", "user:2"})
	fmt.Printf("%q %v %v\n", values[0], values[1] == nil, err)
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
