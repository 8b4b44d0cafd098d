package mysql_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"time"

	"github.com/cachegen/cachegen/drivers/memory"
	"github.com/cachegen/cachegen/drivers/mysql"
	"github.com/cachegen/cachegen/runtime"
)

// The program imports the database/sql driver: _ "github.com/go-sql-driver/mysql".
func Example() {
	// The name "mysql" is registered by the import of github.com/go-sql-driver/mysql.
	db, err := sql.Open("mysql", os.Getenv("MYSQL_DSN"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close() // after the stores

	stores, err := runtime.OpenStore("main",
		runtime.L1(memory.New(memory.Options{MaxSize: "100mb"})),
		runtime.L2(mysql.New(db, mysql.Options{Table: "cache", PruneEvery: time.Hour})),
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
