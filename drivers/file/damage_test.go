package file

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

// damages are what can become of a file.
func damages(whole []byte) map[string][]byte {
	all := map[string][]byte{
		"empty": {}, "foreign": []byte("#!/bin/sh\nexit 1\n"), "zeros": make([]byte, len(whole)),
		"longer": append(bytes.Clone(whole), 'x'), "large and foreign": bytes.Repeat([]byte("x"), 1<<20),
	}
	for n := 1; n < len(whole); n++ {
		all[fmt.Sprintf("the first %d bytes", n)] = whole[:n]
	}
	for i := range whole {
		flipped := bytes.Clone(whole)
		flipped[i] ^= 1 << (i % 8)
		all[fmt.Sprintf("a bit flipped in byte %d", i)] = flipped
	}
	return all
}

func TestADamagedFileIsAbsentAndPruned(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, Options{NoSync: true})
	set(t, d, "key", "a value", time.Hour)
	set(t, d, "other", "is whole", 0)
	path := filepath.Join(d.dir, placeOf("key").file(entryName))
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for what, data := range damages(whole) {
		t.Run(what, func(t *testing.T) {
			damage := func() {
				if err := os.WriteFile(path, data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			damage()
			expect(t, d, "key", "")
			// It can be in nobody's way.
			swapped, err := d.SwapMany(t.Context(), []drivers.Swap{{Key: "key", New: []byte("new")}})
			if err != nil || !swapped[0] {
				t.Errorf("swap: %v, %v", swapped, err)
			}
			expect(t, d, "key", "new")
			damage()
			if n, err := d.Prune(t.Context()); err != nil || n != 0 {
				t.Errorf("prune: %d, %v", n, err)
			}
			if _, err := os.Stat(path); err == nil {
				t.Error("it is still there")
			}
			expect(t, d, "other", "is whole")
		})
	}
}

func TestADamagedLeaseIsNone(t *testing.T) {
	d := open(t, t.TempDir(), Options{NoSync: true})
	if lent, err := d.LeaseMany(t.Context(), []string{"a"}, drivers.LeaseRequest{Token: "gone", TTL: time.Hour}); err != nil || !lent[0].Taken {
		t.Fatal(lent, err)
	}
	path := filepath.Join(d.dir, placeOf("a").file(leaseName))
	if err := os.Truncate(path, 40); err != nil {
		t.Fatal(err)
	}
	if lent, err := d.LeaseMany(t.Context(), []string{"a"}, drivers.LeaseRequest{Token: "next", TTL: time.Hour}); err != nil || !lent[0].Taken {
		t.Error(lent, err)
	}
}

// A file that says neither that somebody waits nor that nobody does is no lease.
func TestALeaseOfAnotherFormIsNone(t *testing.T) {
	d := open(t, t.TempDir(), Options{NoSync: true})
	for _, value := range []string{"", "0", "token", "2token"} {
		set(t, d, "a", "x", 0) // makes the directory, and ends the lease
		path := filepath.Join(d.dir, placeOf("a").file(leaseName))
		if err := os.WriteFile(path, image("a", []byte(value), forever), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, token := range []string{"token", "oken", value + "0"} {
			if filled, err := d.FillMany(t.Context(), []drivers.Item{{Key: "a"}}, token); err != nil || filled[0].Stored {
				t.Errorf("%q: filled by %q: %v, %v", value, token, filled, err)
			}
		}
		if lent, err := d.LeaseMany(t.Context(), []string{"a"}, drivers.LeaseRequest{Token: "t", TTL: time.Hour}); err != nil || !lent[0].Taken {
			t.Errorf("%q: %+v, %v", value, lent, err)
		}
	}
}

func TestPruneRemovesLeftoversAndNothingOfOthers(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, Options{NoSync: true})
	set(t, d, "ended", "x", time.Nanosecond)
	set(t, d, "kept", "x", time.Hour)
	for _, key := range []string{"ended", "kept"} {
		if lent, err := d.LeaseMany(t.Context(), []string{key}, drivers.LeaseRequest{Token: "t", TTL: time.Nanosecond}); err != nil || !lent[0].Taken {
			t.Fatal(lent, err)
		}
	}
	shard := filepath.Join(d.dir, shardName(placeOf("kept").shard))
	others := []string{filepath.Join(dir, "notes.txt"), filepath.Join(dir, "ff.txt"), filepath.Join(shard, "notes.txt"), filepath.Join(shard, "a.entry"), filepath.Join(shard, "newspaper"), filepath.Join(shard, "new-york")}
	for _, path := range append(others, filepath.Join(shard, tempName), filepath.Join(shard, tempName+"-0123456789abcdef")) {
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := d.Prune(t.Context()); err != nil || n != 1 {
		t.Errorf("prune: %d, %v, want the one item", n, err)
	}
	if left := append(append(files(t, dir, tempName), files(t, dir, tempName+"-0*")...), files(t, dir, "*"+leaseName)...); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
	for _, path := range others {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
	expect(t, d, "kept", "x")
}

// What a file claims is believed within bounds: a sparse file has any size and takes no space.
// To allocate its size would end the process.
func TestASparseFileIsDamaged(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, Options{NoSync: true})
	set(t, d, "key", "a value", 0)
	path := filepath.Join(d.dir, placeOf("key").file(entryName))
	const size = 1 << 40
	whole := image("key", nil, forever)
	binary.BigEndian.PutUint64(whole[16:], size)
	binary.BigEndian.PutUint32(whole[4:], crc32.Checksum(whole[summedFrom:], table))
	if err := errors.Join(os.WriteFile(path, whole, 0o600), os.Truncate(path, int64(len(whole))+size)); err != nil {
		t.Skip("no sparse files: ", err)
	}
	expect(t, d, "key", "")
	if _, err := d.Prune(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after a prune: %v", err)
	}
}
