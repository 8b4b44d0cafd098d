package transaction_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	gormpostgres "gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/memory"
	"github.com/cachegen/cachegen/drivers/mysql"
	"github.com/cachegen/cachegen/drivers/postgres"
	"github.com/cachegen/cachegen/drivers/sqlite"
	"github.com/cachegen/cachegen/runtime"
)

// poll is short, so that others look soon.
const poll = 50 * time.Millisecond

// outbox returns an outbox in the database, on connections that are not those of a library.
func (d *database) outbox() drivers.Outbox {
	switch d.kind {
	case "postgres":
		return postgres.NewOutbox(d.admin, postgres.OutboxOptions{})
	case "mysql":
		return mysql.NewOutbox(d.admin, mysql.OutboxOptions{})
	}
	return sqlite.NewOutbox(d.admin, sqlite.OutboxOptions{})
}

// entries returns how many entries are in the outbox.
func (d *database) entries(t *testing.T) (n int) {
	t.Helper()
	if err := d.admin.QueryRow("SELECT count(*) FROM cachegen_outbox").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// A dying outbox is that of a process which dies when the database has committed: it removes
// nothing, and takes nothing.
type dying struct{ drivers.Outbox }

var errDead = errors.New("the process is dead")

func (dying) Remove(context.Context, []drivers.OutboxID) error { return errDead }
func (dying) Take(context.Context, drivers.OutboxRequest) ([]drivers.OutboxEntry, error) {
	return nil, errDead
}

// process returns the cache of a process with an outbox.
func process(t *testing.T, outbox drivers.Outbox) *cache {
	t.Helper()
	store, err := runtime.NewStore("test", runtime.L1(memory.New(memory.Options{})), runtime.TTL(time.Hour),
		runtime.Outbox(outbox), runtime.OutboxPoll(poll), runtime.Logger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close(context.Background()) })
	c, err := runtime.NewCache[int, int](store, "numbers")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for began := time.Now(); !is(); time.Sleep(poll / 10) {
		if time.Since(began) > 30*time.Second {
			t.Fatal("not within 30 s:", what)
		}
	}
}

// race R57: the process dies after the commit. What its transaction has written is carried out by
// another one; of one that was rolled back there is nothing.
func TestWhatATransactionHasWrittenIsCarriedOutByOthers(t *testing.T) {
	inEveryLibrary(t, func(t *testing.T, d *database, open func(string) runner) {
		own, run := process(t, dying{d.outbox()}), open(d.server)
		for _, want := range []int{10, 11} { // the second time, everything is there that has to be made
			is(t.Context(), t, own, 2, d.read, 2)
			err := run(t.Context(), func(ctx context.Context, x tx) error {
				return errors.Join(x.write(ctx, 1, want), own.Delete(ctx, 1))
			})
			if err != nil {
				t.Fatal(err)
			}
			if n := d.entries(t); n != want-9 {
				t.Errorf("%d entries after %d commits", n, want-9)
			}
			if err := run(t.Context(), func(ctx context.Context, x tx) error { return errors.Join(own.Delete(ctx, 1), errBody) }); !errors.Is(err, errBody) {
				t.Error(err)
			}
			if n := d.entries(t); n != want-9 {
				t.Errorf("%d entries after a rollback", n)
			}
		}
		// A process that has the old value, and hears of nothing but the outbox.
		other := process(t, d.outbox())
		if err := other.Set(t.Context(), 1, 1); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the outbox is empty", func() bool { return d.entries(t) == 0 })
		is(t.Context(), t, other, 1, d.read, 11)
	})
}

// Who is alive carries out what it has committed at once, and nothing is left.
func TestWhatATransactionHasWrittenIsRemovedByItsProcess(t *testing.T) {
	inEveryLibrary(t, func(t *testing.T, d *database, open func(string) runner) {
		c, run := process(t, d.outbox()), open(d.server)
		is(t.Context(), t, c, 1, d.read, 1)
		err := run(t.Context(), func(ctx context.Context, x tx) error {
			if err := errors.Join(x.write(ctx, 1, 10), c.Delete(ctx, 1)); err != nil {
				return err
			}
			is(ctx, t, c, 1, x.read, 10)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		cached(t, c, 1, false)
		is(t.Context(), t, c, 1, d.read, 10)
		eventually(t, "the outbox is empty", func() bool { return d.entries(t) == 0 })
	})
}

// A transaction of another database than that of the outbox is rolled back, and the error says which
// table is missing.
func TestATransactionOfAnotherDatabaseIsRolledBack(t *testing.T) {
	d, other := sqliteDatabase(t, "sqlite"), sqliteDatabase(t, "sqlite")
	outbox := d.outbox()
	if _, err := outbox.Take(t.Context(), drivers.OutboxRequest{Stores: []string{"any"}, Max: 1, Hold: poll}); err != nil { // makes the table
		t.Fatal(err)
	}
	c := process(t, outbox)
	err := openSQL("sqlite", nil)(t, other.at(""))(t.Context(), func(ctx context.Context, x tx) error {
		return errors.Join(x.write(ctx, 1, 10), c.Set(ctx, 1, 10))
	})
	if err == nil || !strings.HasPrefix(err.Error(), "cachegen: write the outbox: sqlite: append") || !strings.Contains(err.Error(), "no such table: cachegen_outbox") {
		t.Error(err)
	}
	is(t.Context(), t, c, 1, other.read, 1)
}

// GORM prepares each statement if it is told to, and keeps it. Those of an outbox come once.
func TestGORMKeepsNoStatementOfAnOutbox(t *testing.T) {
	d := postgresDatabase(t, "")
	db, err := gorm.Open(gormpostgres.Open(d.at(d.server)), &gorm.Config{Logger: logger.Discard, PrepareStmt: true})
	if err != nil {
		t.Fatal(err)
	}
	standard, err := db.DB()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { standard.Close() })
	c := process(t, dying{d.outbox()})
	if err := runGORM(db)(t.Context(), func(ctx context.Context, x tx) error { return errors.Join(x.write(ctx, 1, 10), c.Delete(ctx, 1)) }); err != nil {
		t.Fatal(err)
	}
	if n := d.entries(t); n != 1 {
		t.Errorf("%d entries", n)
	}
	prepared, ok := db.ConnPool.(*gorm.PreparedStmtDB)
	if !ok || len(prepared.Stmts.Keys()) == 0 {
		t.Fatalf("%T prepares nothing: the test shows nothing", db.ConnPool)
	}
	for _, text := range prepared.Stmts.Keys() {
		if strings.Contains(text, "cachegen_outbox") {
			t.Errorf("kept: %s", text)
		}
	}
}
