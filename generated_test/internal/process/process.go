// Package process opens stores for the tests of annotated packages, as the
// programs that use such packages would.
package process

import (
	"bytes"
	"context"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers/file"
	"github.com/cachegen/cachegen/drivers/memory"
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

// Two returns the stores of two processes that share a [Directory].
func Two(t testing.TB) (a, b runtime.Stores) {
	t.Helper()
	d := Share(t)
	return d.Open(t), d.Open(t)
}

// A Directory is what processes of one test share.
type Directory struct{ path string }

// Share returns a directory that is removed with the test.
func Share(t testing.TB) Directory {
	t.Helper()
	return Directory{t.TempDir()}
}

// Open returns the stores of a process that has the directory under its memory, and no
// bus. What another one changes, its memory learns by itself: tags after [Trust],
// single entries when their time in memory is over. Stores are closed with the test.
func (d Directory) Open(t testing.TB) runtime.Stores {
	t.Helper()
	return open(t, tier(), runtime.L2(file.New(d.path, file.Options{NoSync: true})))
}

// Holds reports whether text is somewhere in the files of the directory.
func (d Directory) Holds(t testing.TB, text string) bool {
	t.Helper()
	found := false
	err := filepath.WalkDir(d.path, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(name)
		found = found || bytes.Contains(content, []byte(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func tier() runtime.StoreOption {
	return runtime.L1(memory.New(memory.Options{MaxSize: "10mb"}))
}

func open(t testing.TB, options ...runtime.StoreOption) runtime.Stores {
	t.Helper()
	logger := slog.New(complaints{slog.NewTextHandler(t.Output(), nil), t}) // seen if the test fails
	main, err := runtime.NewStore("main", append(options, runtime.StampTrust(Trust), runtime.Logger(logger))...)
	if err != nil {
		t.Fatal(err)
	}
	local, err := runtime.NewStore(Local, tier(), runtime.Logger(logger))
	if err != nil {
		t.Fatal(err)
	}
	stores, err := runtime.NewStores(main, local)
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
