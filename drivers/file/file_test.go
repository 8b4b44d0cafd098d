package file

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/drivertest"
)

func TestMain(m *testing.M) {
	if role := os.Getenv(childRole); role != "" {
		os.Exit(child(role))
	}
	goleak.VerifyTestMain(m)
}

// open returns a driver, which the test closes.
func open(t testing.TB, dir string, options Options) *Driver {
	t.Helper()
	if info, err := os.Stat(dir); err == nil && info.IsDir() && info.Mode().Perm()&0o022 != 0 { // by a generous umask
		if err := os.Chmod(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	d := New(dir, options)
	if err := d.Err(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func set(t testing.TB, d *Driver, key, value string, ttl time.Duration) {
	t.Helper()
	if err := d.SetMany(t.Context(), []drivers.Item{{Key: key, Value: []byte(value), TTL: ttl}}); err != nil {
		t.Fatal(err)
	}
}

// expect checks what key has; "" stands for absent.
func expect(t testing.TB, d *Driver, key, want string) {
	t.Helper()
	got, err := d.GetMany(t.Context(), []string{key})
	if err != nil {
		t.Fatal(err)
	}
	if (got[0] != nil) != (want != "") || string(got[0]) != want {
		t.Errorf("key %.40q has %.40q, want %.40q", key, got[0], want)
	}
}

// files returns the paths below dir whose name matches pattern.
func files(t testing.TB, dir, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*", pattern))
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

const everything = drivertest.Adds | drivertest.Swaps | drivertest.Leases | drivertest.Scans | drivertest.DeletesPrefixes | drivertest.Prunes

func TestConformance(t *testing.T) {
	for name, c := range map[string]struct {
		options Options
		limits  drivertest.Limits
	}{
		"Sync":               {Options{}, drivertest.Limits{LargestBatch: 300}}, // each file waits for the disk
		"BoundedWithoutSync": {Options{NoSync: true, MaxSize: "1gb"}, drivertest.Limits{LargestValue: 1 << 20}},
	} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && !c.options.NoSync {
				t.Skip("it waits for the disk")
			}
			dir := t.TempDir()
			drivertest.L2(t, func(t *testing.T) drivers.L2 {
				// One for each test: scans are not to read what the others have left.
				return open(t, filepath.Join(dir, placeOf(t.Name()).name[:hashDigits]), c.options)
			}, everything, c.limits)
		})
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for _, d := range []*Driver{New("", Options{}), New(t.TempDir(), Options{MaxSize: "plenty"}), New(t.TempDir(), Options{MaxSize: "-1"})} {
		if d.Err() == nil || !strings.HasPrefix(d.Err().Error(), "file: ") {
			t.Errorf("error %v", d.Err())
		}
		if _, err := d.GetMany(t.Context(), []string{"a"}); !errors.Is(err, drivers.ErrClosed) {
			t.Errorf("use of it: %v", err)
		}
		d.Close()
	}
}

func TestItOutlivesTheProcess(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "on", "demand")
	first := open(t, dir, Options{})
	expect(t, first, "a", "")
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a read has made the directory: %v", err)
	}
	set(t, first, "a", "x", time.Hour)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	expect(t, open(t, dir, Options{}), "a", "x")
}

func TestARelativeDirectoryStaysWhereItWas(t *testing.T) {
	t.Chdir(t.TempDir())
	d := open(t, "cache", Options{NoSync: true})
	t.Chdir(t.TempDir())
	set(t, d, "a", "x", 0)
	if _, err := os.Stat("cache"); err == nil {
		t.Error("it has moved with the program")
	}
}

func TestNamesAreHarmless(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, Options{NoSync: true})
	keys := []string{"", ".", "..", "../../../../etc/passwd", "/etc/passwd", "a", "A", "a\x00", "CON", "nul.txt", strings.Repeat("k", 64<<10), "\xff"}
	for i, key := range keys {
		set(t, d, key, fmt.Sprint("v", i), 0)
	}
	for i, key := range keys {
		expect(t, d, key, fmt.Sprint("v", i))
	}
	seen := make(map[string]bool)
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || entry.Name() == lockName {
			return err
		}
		name := entry.Name()
		if strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-.") != "" || len(name) > 143 {
			t.Errorf("name %q", name)
		}
		seen[strings.ToLower(path)] = true
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(seen) != len(keys) {
		t.Errorf("%d keys have %d files", len(keys), len(seen))
	}
}

func TestANameSaysHowItsKeyBegins(t *testing.T) {
	long := strings.Repeat("k", headSize)
	for _, key := range []string{"", "a", "user:1", long[1:], long, long + "more"} {
		name := placeOf(key).name + entryName
		head, ok := parseName(name, entryName)
		if !ok || !strings.HasPrefix(key, string(head)) {
			t.Fatalf("key %q, name %q: %q, %v", key, name, head, ok)
		}
		for _, prefix := range []string{"", "a", "user:", "user:1", "user:12", long, long + "m", long + "x"} {
			// Beyond the name's end it cannot know.
			want := strings.HasPrefix(key, prefix) || len(key) >= headSize && strings.HasPrefix(prefix, long)
			if got := canBegin(head, prefix); got != want {
				t.Errorf("key %q, prefix %q: %v", key, prefix, got)
			}
		}
	}
	name := placeOf("user:1").name
	for _, foreign := range []string{"lock", "new", "", name, name[1:] + entryName, name + leaseName, name + "!" + entryName, strings.ToUpper(name) + entryName} {
		if _, ok := parseName(foreign, entryName); ok {
			t.Errorf("%q is taken for an item", foreign)
		}
	}
}

// A key whose hash is that of another must not get the other's value.
func TestTheKeyInsideIsCompared(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, Options{NoSync: true})
	set(t, d, "a", "x", 0)
	for _, name := range files(t, dir, "*"+entryName) {
		to := filepath.Join(d.dir, placeOf("b").file(entryName))
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(name, to); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, d, "b", "")
	added, err := d.AddMany(t.Context(), []drivers.Item{{Key: "b", Value: []byte("y")}})
	if err != nil || string(added[0]) != "y" {
		t.Errorf("add: %q, %v", added, err)
	}
	expect(t, d, "b", "y")
}

func TestADirectoryThatIsAFileIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cache")
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := open(t, path, Options{})
	_, getting := d.GetMany(t.Context(), []string{"a"})
	setting := d.SetMany(t.Context(), []drivers.Item{{Key: "a"}})
	for operation, err := range map[string]error{"get": getting, "set": setting} {
		if want := fmt.Sprintf("file: %s 1 key in %q: ", operation, path); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: error %v", operation, err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "mine" {
		t.Errorf("the file has %q, %v", got, err)
	}
}

// What a held lock is to writers, a silent server is to others.
func TestWritersWaitForALockNoLongerThanTheirContext(t *testing.T) {
	dir := t.TempDir()
	holder, d := open(t, dir, Options{NoSync: true}), open(t, dir, Options{NoSync: true})
	set(t, d, "a", "old", 0)
	err := holder.inDirectory(func(x *directory) error {
		return holder.locked(t.Context(), x, placeOf("a").shard, true, func(*shard) error {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			if err := d.SetMany(ctx, []drivers.Item{{Key: "a", Value: []byte("new")}}); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("set: %v", err)
			}
			expect(t, d, "a", "old") // readers do not wait
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	set(t, d, "a", "new", 0)
	expect(t, d, "a", "new")
}

// Also where the keys of one shard take several calls.
func TestScanEndsWithItsContext(t *testing.T) {
	d := open(t, t.TempDir(), Options{NoSync: true})
	var items []drivers.Item
	for i := 0; len(items) <= scanBatch; i++ {
		if key := fmt.Sprint(i); placeOf(key).shard == 7 {
			items = append(items, drivers.Item{Key: key})
		}
	}
	if err := d.SetMany(t.Context(), items); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	calls := 0
	err := d.Scan(ctx, "", func([]string) error { calls++; cancel(); return nil })
	if calls != 1 || !errors.Is(err, context.Canceled) || !strings.HasPrefix(err.Error(), "file: scan in ") {
		t.Errorf("f was called %d times, then %v", calls, err)
	}
}

// A value that no reader would believe is not written.
func TestValuesThatAreTooLongAreRefused(t *testing.T) {
	d := open(t, t.TempDir(), Options{})
	value := make([]byte, maxValue+1) // which nothing touches
	if err := d.SetMany(t.Context(), []drivers.Item{{Key: "key", Value: value}}); !errors.Is(err, drivers.ErrRefused) {
		t.Errorf("error %v", err)
	}
}

// Two processes store into a shard for the first time: the second finds the directory that it
// wanted to make.
func TestADirectoryThatAnotherProcessMakesIsNoError(t *testing.T) {
	for _, noSync := range []bool{false, true} {
		d := open(t, t.TempDir(), Options{NoSync: noSync})
		err := d.inDirectory(func(x *directory) error {
			if err := x.make(); err != nil {
				return err
			}
			s := &shard{d: d, in: x, name: shardName(0)}
			return errors.Join(s.make(), s.make())
		})
		if err != nil {
			t.Errorf("NoSync %v: %v", noSync, err)
		}
	}
}

// What no header could say of a key would be lent to everybody.
func TestKeysThatAreTooLongAreRefused(t *testing.T) {
	d := open(t, t.TempDir(), Options{})
	key := strings.Repeat("k", maxKey+1)
	_, lease := d.LeaseMany(t.Context(), []string{key}, drivers.LeaseRequest{Token: "t", TTL: time.Hour})
	for _, err := range []error{lease, d.SetMany(t.Context(), []drivers.Item{{Key: key}})} {
		if !errors.Is(err, drivers.ErrRefused) {
			t.Errorf("error %v", err)
		}
	}
}
