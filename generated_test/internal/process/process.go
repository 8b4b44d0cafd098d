// Package process opens stores for the tests of annotated packages, as the
// programs that use such packages would.
package process

import (
	"context"
	"database/sql"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	_ "modernc.org/sqlite" // the driver

	"github.com/cachegen/cachegen/drivers/memory"
	"github.com/cachegen/cachegen/drivers/sqlite"
	"github.com/cachegen/cachegen/runtime"
)

// Local is the name of the store that is in memory only, for store=local.
const Local = "local"

// Trust is how long the stores of this package believe what they know of tags.
const Trust = 3 * time.Second

// Alone returns the stores of a process that has nothing but its memory: main,
// the default, and [Local]. They are closed with the test.
func Alone(t testing.TB) runtime.Stores {
	t.Helper()
	return open(t, tier())
}

// Two returns the stores of two processes that share a [File].
func Two(t testing.TB) (a, b runtime.Stores) {
	t.Helper()
	f := Share(t)
	return f.Open(t), f.Open(t)
}

// A File is the SQLite file that processes of one test share.
type File struct{ path string }

// Share returns a file that is removed with the test.
func Share(t testing.TB) File {
	t.Helper()
	return File{filepath.Join(t.TempDir(), "cache.db")}
}

// Open returns the stores of a process that has the file under its memory, and no
// bus. What another one changes, its memory learns by itself: tags after [Trust],
// single entries when their time in memory is over. Stores are closed with the test.
func (f File) Open(t testing.TB) runtime.Stores {
	t.Helper()
	db := f.database(t) // closed after the stores: cleanups run last to first
	return open(t, tier(), runtime.L2(sqlite.New(db, sqlite.Options{})))
}

// Holds reports whether text is somewhere in the values of the file.
func (f File) Holds(t testing.TB, text string) bool {
	t.Helper()
	var n int
	err := f.database(t).QueryRow(`SELECT count(*) FROM cachegen WHERE instr(value, CAST(? AS BLOB)) > 0`, text).Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n > 0
}

func (f File) database(t testing.TB) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+f.path+"?_pragma=journal_mode(wal)&_pragma=synchronous(off)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func tier() runtime.StoreOption {
	return runtime.L1(memory.New(memory.Options{MaxSize: "10mb"}))
}

func open(t testing.TB, options ...runtime.StoreOption) runtime.Stores {
	t.Helper()
	logger := slog.New(slog.NewTextHandler(t.Output(), nil)) // seen if the test fails
	main, err := runtime.NewStore("main", append(options, runtime.StampTrust(Trust), runtime.Logger(logger))...)
	if err != nil {
		t.Fatal(err)
	}
	local, err := runtime.NewStore(Local, tier(), runtime.Logger(logger))
	if err != nil {
		t.Fatal(err)
	}
	stores, err := runtime.NewStores("main", main, local)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stores.Close(context.Background()); err != nil {
			t.Errorf("close the stores: %v", err)
		}
	})
	return stores
}
