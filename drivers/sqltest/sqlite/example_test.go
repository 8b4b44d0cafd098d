package sqlite_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/cachegen/cachegen/drivers/memory"
	"github.com/cachegen/cachegen/drivers/sqlite"
	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/transaction"
)

// A process has a database, and a cache of names in front of it.
type process struct {
	db     *sql.DB
	stores runtime.Stores
	names  *runtime.Cache[int, string]
}

// newProcess opens the database of a file. What its transactions change in the cache is in the
// outbox of that database.
func newProcess(file string) *process {
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(10000)&_txlock=immediate")
	check(err)
	stores, err := runtime.OpenStore("main",
		runtime.L1(memory.New(memory.Options{})),
		runtime.Outbox(sqlite.NewOutbox(db, sqlite.OutboxOptions{})),
		runtime.OutboxPoll(20*time.Millisecond), // so that the example is short
	)
	check(err)
	names, err := runtime.NewCache[int, string](stores.Default(), "names", runtime.TTL(time.Hour))
	check(err)
	return &process{db, stores, names}
}

func (p *process) name(ctx context.Context, id int) string {
	name, err := p.names.GetOrSet(ctx, id, func(ctx context.Context) (name string, err error) {
		return name, p.db.QueryRowContext(ctx, "SELECT name FROM users WHERE id = ?", id).Scan(&name)
	})
	check(err)
	return name
}

// change is what a transaction does.
func (p *process) change(ctx context.Context, tx *sql.Tx, id int, name string) error {
	if _, err := tx.ExecContext(ctx, "UPDATE users SET name = ? WHERE id = ?", name, id); err != nil {
		return err
	}
	return p.names.Delete(ctx, id) // when it is committed
}

func (p *process) close() {
	check(p.stores.Close(context.Background()))
	check(p.db.Close()) // after the stores
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// newFile returns a database in which user 7 is Ada.
func newFile() (file string, remove func()) {
	dir, err := os.MkdirTemp("", "example")
	check(err)
	file = filepath.Join(dir, "app.db")
	db, err := sql.Open("sqlite", "file:"+file)
	check(err)
	defer db.Close()
	_, err = db.Exec("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL); INSERT INTO users VALUES (7, 'Ada')")
	check(err)
	return file, func() { os.RemoveAll(dir) }
}

// A transaction, with a cache whose store has an outbox in the same database.
func Example_transaction() {
	ctx := context.Background()
	file, remove := newFile()
	defer remove()
	p := newProcess(file)
	defer p.close()

	fmt.Println("before:", p.name(ctx, 7))
	err := transaction.SQL(ctx, p.db, nil, func(inside context.Context, tx *sql.Tx) error {
		if err := p.change(inside, tx, 7, "Ada Lovelace"); err != nil {
			return err
		}
		fmt.Println("others, until the commit:", p.name(ctx, 7))
		return nil
	})
	check(err)
	fmt.Println("after:", p.name(ctx, 7))
	// Output:
	// before: Ada
	// others, until the commit: Ada
	// after: Ada Lovelace
}

// A process commits, and ends before it has changed anything in caches. Another process does it.
func Example_outbox() {
	ctx := context.Background()
	file, remove := newFile()
	defer remove()
	one, two := newProcess(file), newProcess(file)
	defer two.close()
	fmt.Println("before:", two.name(ctx, 7))

	inside, collected := runtime.Collect(ctx)
	defer collected.Rollback()
	tx, err := one.db.BeginTx(inside, nil)
	check(err)
	check(one.change(inside, tx, 7, "Ada Lovelace"))
	check(collected.WriteOutbox(inside, func(ctx context.Context, statement string) error {
		_, err := tx.ExecContext(ctx, statement)
		return err
	}))
	check(tx.Commit())
	// Here would be collected.Commit(ctx), but the process ends.
	one.close()

	for two.name(ctx, 7) == "Ada" { // the other process hears of it from the outbox alone
		time.Sleep(time.Millisecond)
	}
	fmt.Println("after:", two.name(ctx, 7))
	// Output:
	// before: Ada
	// after: Ada Lovelace
}
