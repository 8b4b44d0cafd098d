package mysql_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/mysql"
)

// The program imports the database/sql driver: _ "github.com/go-sql-driver/mysql".
func Example() {
	// The name "mysql" is registered by the import of github.com/go-sql-driver/mysql.
	db, err := sql.Open("mysql", os.Getenv("MYSQL_DSN"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()

	store := mysql.New(db, mysql.Options{Table: "cache", PruneEvery: time.Hour})
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
	for _, statement := range mysql.Schema("cache") {
		fmt.Println(statement + ";")
	}
	// Output:
	// CREATE TABLE IF NOT EXISTS `cache` (
	// 	name varbinary(544) NOT NULL PRIMARY KEY,
	// 	rest longblob,
	// 	value longblob NOT NULL,
	// 	expires bigint NOT NULL,
	// 	lease longblob,
	// 	lease_until bigint NOT NULL DEFAULT 0,
	// 	mark bigint NOT NULL DEFAULT 0,
	// 	INDEX (expires)
	// ) ENGINE = InnoDB;
}
