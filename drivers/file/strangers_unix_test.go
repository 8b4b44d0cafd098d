//go:build unix

package file

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

// every calls each kind of operation on a key.
func every(ctx context.Context, d *Driver, key string) map[string]error {
	item := []drivers.Item{{Key: key, Value: []byte("new")}}
	_, get := d.GetMany(ctx, []string{key})
	_, add := d.AddMany(ctx, item)
	_, swap := d.SwapMany(ctx, []drivers.Swap{{Key: key, New: []byte("new")}})
	_, lease := d.LeaseMany(ctx, []string{key}, drivers.LeaseRequest{Token: "t", TTL: time.Hour})
	_, fill := d.FillMany(ctx, item, "t")
	_, renew := d.RenewMany(ctx, []string{key}, "t", time.Hour)
	_, release := d.ReleaseMany(ctx, []string{key}, "t")
	_, prefix := d.DeletePrefix(ctx, key)
	_, prune := d.Prune(ctx)
	return map[string]error{
		"get": get, "set": d.SetMany(ctx, item), "add": add, "swap": swap, "lease": lease, "fill": fill,
		"renew": renew, "release": release, "delete": d.DeleteMany(ctx, []string{key}),
		"prefix": prefix, "scan": d.Scan(ctx, key, func([]string) error { return nil }), "prune": prune,
	}
}

// What is in the place of the directory and is none is an error at once. Opening a pipe would
// wait for ever, and keep a thread.
func TestNoDirectory(t *testing.T) {
	for name, prepare := range map[string]func(path string) error{
		"a pipe": func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"a link to a pipe": func(path string) error {
			return errors.Join(syscall.Mkfifo(path+".pipe", 0o600), os.Symlink(path+".pipe", path))
		},
		"a file": func(path string) error { return os.WriteFile(path, nil, 0o600) },
	} {
		path := filepath.Join(t.TempDir(), "cache")
		if err := prepare(path); err != nil {
			t.Fatal(err)
		}
		d := New(path, Options{NoSync: true})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		for operation, err := range every(ctx, d, "k") {
			if err == nil || errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %s: %v", name, operation, err)
			}
		}
		cancel()
		d.Close()
	}
}

// A directory that somebody else has prepared, or can change, is not used: he could choose what
// this process reads and, with links, what it writes over.
func TestADirectoryOfAStrangerIsRefused(t *testing.T) {
	const stranger = 65534
	for name, prepare := range map[string]func(dir string) error{
		"everybody may write":   func(dir string) error { return os.Chmod(dir, 0o777) },
		"as in /tmp":            func(dir string) error { return os.Chmod(dir, 0o777|os.ModeSticky) },
		"the group may write":   func(dir string) error { return os.Chmod(dir, 0o770) },
		"it is somebody else's": func(dir string) error { return os.Chown(dir, stranger, stranger) },
		"a link of somebody else": func(dir string) error {
			return errors.Join(os.Rename(dir, dir+".own"), os.Symlink(dir+".own", dir), os.Lchown(dir, stranger, stranger))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "cache")
			set(t, open(t, dir, Options{NoSync: true}), "k", "old", 0)
			if err := prepare(dir); errors.Is(err, os.ErrPermission) {
				t.Skip("needs root: ", err)
			} else if err != nil {
				t.Fatal(err)
			}
			d := New(dir, Options{NoSync: true})
			defer d.Close()
			for operation, err := range every(t.Context(), d, "k") {
				if !errors.Is(err, errForeign) {
					t.Errorf("%s: %v", operation, err)
				}
			}
			allowed := New(dir, Options{NoSync: true, AllowOthers: true})
			defer allowed.Close()
			expect(t, allowed, "k", "old")
		})
	}
}

func TestALinkOfTheOwnerToTheDirectoryIsFollowed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	set(t, open(t, dir, Options{NoSync: true}), "k", "old", 0)
	link := dir + ".link"
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	expect(t, New(link, Options{}), "k", "old")
}

// Whatever lies under a name that the driver uses: what it leads to stays as it is, and no call
// waits for it.
func TestOnlyOrdinaryFilesAreUsed(t *testing.T) {
	things := map[string]func(path, victim string) error{
		"link":      func(path, victim string) error { return os.Symlink(victim, path) },
		"hard link": func(path, victim string) error { return os.Link(victim, path) },
		"pipe":      func(path, _ string) error { return syscall.Mkfifo(path, 0o600) },
		"socket": func(path, _ string) error {
			// A path of a socket is short.
			work, err := os.MkdirTemp("", "s")
			if err != nil {
				return err
			}
			defer os.RemoveAll(work)
			l, err := net.Listen("unix", filepath.Join(work, "s"))
			if err != nil {
				return err
			}
			l.(*net.UnixListener).SetUnlinkOnClose(false)
			defer l.Close()
			return os.Rename(filepath.Join(work, "s"), path)
		},
		"directory": func(path, _ string) error {
			return errors.Join(os.Mkdir(path, 0o700), os.WriteFile(path+"/x", nil, 0o600))
		},
	}
	p := placeOf("k")
	for what, make := range things {
		for at, name := range map[string]string{
			"entry": p.file(entryName), "lease": p.file(leaseName), "lock": filepath.Join(shardName(p.shard), lockName),
			"temporary file": filepath.Join(shardName(p.shard), tempName), "shard": shardName(p.shard),
		} {
			if what == "hard link" && at == "shard" {
				continue // a directory has none
			}
			t.Run(what+" for the "+at, func(t *testing.T) {
				outside := t.TempDir()
				victim := filepath.Join(outside, "victim")
				if err := os.WriteFile(victim, []byte("mine"), 0o644); err != nil {
					t.Fatal(err)
				}
				if at == "shard" {
					victim = outside // a link to a directory
				}
				dir := filepath.Join(t.TempDir(), "cache")
				path := filepath.Join(dir, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := make(path, victim); err != nil {
					t.Fatal(err)
				}
				d := open(t, dir, Options{NoSync: true})
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				for operation, err := range every(ctx, d, "k") {
					if errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("%s waits", operation)
					}
					if errors.Is(err, errDamaged) {
						t.Errorf("%s: %v: the error does not say what is there", operation, err)
					}
				}
				got, err := os.ReadFile(filepath.Join(outside, "victim"))
				entries, errDir := os.ReadDir(outside)
				if err := errors.Join(err, errDir); err != nil || string(got) != "mine" || len(entries) != 1 {
					t.Errorf("what it leads to is %q, with %d files: %v", got, len(entries), err)
				}
				if slices.Contains([]string{"entry", "temporary file"}, at) && what != "directory" {
					set(t, d, "k", "new", 0)
					expect(t, d, "k", "new")
				}
			})
		}
	}
}

// A name of a temporary file cannot be foreseen.
func TestTemporaryFilesHaveANewNameEachTime(t *testing.T) {
	d := open(t, t.TempDir(), Options{NoSync: true})
	x, err := d.openDirectory()
	if err != nil {
		t.Fatal(err)
	}
	defer x.close()
	if err := errors.Join(x.make(), x.root.Mkdir("00", 0o700), x.root.WriteFile("00/"+tempName, []byte("theirs"), 0o600)); err != nil {
		t.Fatal(err)
	}
	s := &shard{d: d, in: x, name: "00"}
	seen := map[string]bool{}
	for range 3 {
		err := s.writeFile("00/file", []byte("x"), false, func() error {
			names, err := x.names("00")
			for _, name := range names {
				if strings.HasPrefix(name, tempName+"-") {
					seen[name] = true
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if got, err := x.root.ReadFile("00/" + tempName); len(seen) != 3 || string(got) != "theirs" {
		t.Errorf("%d names, and a file of that name has %q, %v", len(seen), got, err)
	}
}
