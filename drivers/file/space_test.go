package file

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

// used returns what items take on the disk once nothing is left to do.
func used(t *testing.T, dir string, all ...*Driver) (sum int64) {
	t.Helper()
	for _, d := range all {
		d.space.work.Wait()
	}
	for _, path := range files(t, dir, "*"+entryName) {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		sum += onDisk(info.Size())
	}
	return sum
}

func TestMaxSizeKeepsWhatEndsLast(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, Options{NoSync: true, MaxSize: "1mb"})
	value := string(bytes.Repeat([]byte("x"), 16<<10))
	set(t, d, "old and for ever", value, 0)
	const n = 100
	for i := range n { // what is written first ends last
		set(t, d, fmt.Sprint(i), value, time.Duration(2*n-i)*time.Hour)
		used(t, dir, d)
	}
	if sum := used(t, dir, d); sum > 1<<20 || sum < 1<<19 {
		t.Errorf("%d bytes are there", sum)
	}
	expect(t, d, "old and for ever", value)
	expect(t, d, "0", value)
	kept, gone := 0, 0
	for i := range n {
		got, err := d.GetMany(t.Context(), []string{fmt.Sprint(i)})
		switch {
		case err != nil:
			t.Fatal(err)
		case got[0] == nil:
			gone++
		case gone > 1: // the last one was written after the others were removed
			kept++
		}
	}
	if gone == 0 || kept > n/10 {
		t.Errorf("%d are gone, %d that end sooner are kept", gone, kept)
	}
}

func TestMaxSizeRemovesTheOldestOfWhatHasNoEnd(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, Options{NoSync: true, MaxSize: "200kb"})
	for i := range 100 {
		set(t, d, fmt.Sprint(i), "x", 0)
		used(t, dir, d)
	}
	expect(t, d, "0", "")
	expect(t, d, "99", "x")
}

// What several processes write together is bounded too.
func TestMaxSizeHoldsForAllProcesses(t *testing.T) {
	dir := t.TempDir()
	var all []*Driver
	for range 4 {
		all = append(all, open(t, dir, Options{NoSync: true, MaxSize: "1mb"}))
	}
	for i := range 800 {
		set(t, all[i%4], fmt.Sprint(i), "x", time.Hour)
	}
	limit := int64(1<<20 + 4*(1<<20)/recount)
	if sum := used(t, dir, all...); sum > limit || sum < 1<<19 {
		t.Errorf("%d bytes are there, want at most %d", sum, limit)
	}
}

func TestAValueAboveMaxSizeIsRefused(t *testing.T) {
	d := open(t, t.TempDir(), Options{NoSync: true, MaxSize: "64kb"})
	set(t, d, "a", "old", 0)
	err := d.SetMany(t.Context(), []drivers.Item{{Key: "b", Value: []byte("x")}, {Key: "a", Value: make([]byte, 64<<10)}})
	if !errors.Is(err, drivers.ErrRefused) {
		t.Errorf("error %v", err)
	}
	expect(t, d, "a", "old")
	expect(t, d, "b", "")
}

func TestCloseWaitsForTheBackground(t *testing.T) {
	d := New(t.TempDir(), Options{NoSync: true, MaxSize: "64kb"})
	for i := range 50 {
		set(t, d, fmt.Sprint(i), "x", 0)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if d.space.counting && d.space.stopping.Err() == nil {
		t.Error("it goes on")
	}
}
