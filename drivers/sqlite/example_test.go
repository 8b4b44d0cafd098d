package sqlite_test

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/sqlite"
)

// The program imports the database/sql driver: _ "modernc.org/sqlite".
func Example() {
	// The name "sqlite" is registered by the import of modernc.org/sqlite.
	db, err := sql.Open("sqlite", "file:app.db?_pragma=journal_mode(wal)&_pragma=synchronous(normal)")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()

	store := sqlite.New(db, sqlite.Options{Table: "cache"})
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
