package file

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/cachegen/cachegen/drivers"
)

const limitedTo = 64 << 10

// meetLimit writes more to a file than the process may.
func (d *Driver) meetLimit(ctx context.Context) error {
	limit := syscall.Rlimit{Cur: limitedTo, Max: limitedTo}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	return d.failToStore(ctx, 2*limitedTo, syscall.EFBIG)
}

// failToStore checks what becomes of a value that does not fit on the disk.
func (d *Driver) failToStore(ctx context.Context, size int, cause error) error {
	if err := d.SetMany(ctx, []drivers.Item{{Key: "a", Value: []byte("old")}}); err != nil {
		return err
	}
	large := []drivers.Item{{Key: "a", Value: make([]byte, size)}}
	_, swapping := d.SwapMany(ctx, []drivers.Swap{{Key: "a", Old: []byte("old"), New: large[0].Value}})
	for operation, err := range map[string]error{"set": d.SetMany(ctx, large), "swap": swapping} {
		want := fmt.Sprintf("file: %s 1 key in %q: ", operation, d.dir)
		if !errors.Is(err, cause) || !strings.HasPrefix(err.Error(), want) || errors.Is(err, drivers.ErrRefused) || !errors.Is(err, drivers.ErrAnswered) {
			return fmt.Errorf("%s: error %v", operation, err)
		}
	}
	values, err := d.GetMany(ctx, []string{"a"})
	if err != nil || string(values[0]) != "old" {
		return fmt.Errorf("after it: %.20q, %v", values, err)
	}
	if left, err := filepath.Glob(filepath.Join(d.dir, "*", tempName+"*")); err != nil || len(left) > 0 {
		return fmt.Errorf("what was half written: %q, %v", left, err)
	}
	if err := d.DeleteMany(ctx, []string{"a"}); err != nil {
		return err
	}
	return d.SetMany(ctx, []drivers.Item{{Key: "a", Value: []byte("new")}})
}

func TestAFileThatMayNotGrow(t *testing.T) {
	dir := t.TempDir()
	if err := command(t, "limited", dir, "").Run(); err != nil {
		t.Fatal(err)
	}
	expect(t, open(t, dir, Options{}), "a", "new")
}

// scratchDisk returns a directory, for root one that is a disk of 2 MB.
func scratchDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if os.Geteuid() != 0 {
		return dir
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("no right to mount a disk: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// makeReadOnly keeps everybody, root included, from writing.
func makeReadOnly(t *testing.T, dir string, p place) {
	t.Helper()
	var err error
	if os.Geteuid() == 0 {
		err = syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, "")
	} else {
		shard := filepath.Join(dir, shardName(p.shard))
		err = errors.Join(os.Chmod(shard+"/"+lockName, 0o400), os.Chmod(shard, 0o500), os.Chmod(dir, 0o500))
		t.Cleanup(func() { os.Chmod(dir, 0o700); os.Chmod(shard, 0o700) })
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestAFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can mount a small disk; TestAFileThatMayNotGrow is the same for others")
	}
	d := open(t, scratchDisk(t), Options{})
	if err := d.failToStore(t.Context(), 3<<20, syscall.ENOSPC); err != nil {
		t.Error(err)
	}
	expect(t, d, "a", "new")
}

func TestAReadOnlyDirectory(t *testing.T) {
	dir := scratchDisk(t)
	set(t, open(t, dir, Options{}), "a", "x", 0)
	makeReadOnly(t, dir, placeOf("a"))
	d := open(t, dir, Options{})
	expect(t, d, "a", "x")
	expect(t, d, "b", "")
	for operation, err := range map[string]error{
		"set": d.SetMany(t.Context(), []drivers.Item{{Key: "a", Value: []byte("y")}}), "delete": d.DeleteMany(t.Context(), []string{"a"}),
	} {
		want := fmt.Sprintf("file: %s 1 key in %q: ", operation, dir)
		if err == nil || !strings.HasPrefix(err.Error(), want) || !errors.Is(err, drivers.ErrAnswered) {
			t.Errorf("%s: error %v", operation, err)
		}
	}
	expect(t, d, "a", "x")
}
