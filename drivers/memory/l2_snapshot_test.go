package memory

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

func snapshot(t *testing.T, d *L2) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := d.Snapshot(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestRestoreBringsBackWhatASnapshotHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := openL2(t, L2Options{})
		setL2(t, d, "ever", "1", 0)
		setL2(t, d, "long", strings.Repeat("x", 100_000), time.Hour)
		setL2(t, d, "short", "3", time.Minute)
		setL2(t, d, "gone", "4", 0)
		setL2(t, d, "\x00 key", "5", 0)
		if err := d.DeleteMany(t.Context(), []string{"gone"}); err != nil {
			t.Fatal(err)
		}
		d.Close()
		saved := snapshot(t, d)
		time.Sleep(time.Minute)

		next := openL2(t, L2Options{})
		if n, err := next.Restore(iotest.OneByteReader(bytes.NewReader(saved))); n != 3 || err != nil {
			t.Errorf("restored %d, %v", n, err)
		}
		expectL2(t, next, "ever", "1")
		expectL2(t, next, "long", strings.Repeat("x", 100_000))
		expectL2(t, next, "short", "")
		expectL2(t, next, "gone", "")
		expectL2(t, next, "\x00 key", "5")
		time.Sleep(59 * time.Minute) // a TTL does not begin again
		expectL2(t, next, "long", "")
	})
}

// A time that a snapshot cannot count is for ever.
func TestRestoreBringsBackTheLongestTTL(t *testing.T) {
	d := openL2(t, L2Options{})
	setL2(t, d, "century", "1", 100*365*24*time.Hour)
	setL2(t, d, "longest", "2", math.MaxInt64)
	next := openL2(t, L2Options{})
	if n, err := next.Restore(bytes.NewReader(snapshot(t, d))); n != 2 || err != nil {
		t.Errorf("restored %d, %v", n, err)
	}
	expectL2(t, next, "century", "1")
	expectL2(t, next, "longest", "2")
}

func TestRestoreIntoLessRoomKeepsWhatWasUsedLast(t *testing.T) {
	d := openL2(t, L2Options{})
	value := strings.Repeat("x", 1000)
	for i := range 100 {
		setL2(t, d, fmt.Sprint(i), value, 0)
	}
	expectL2(t, d, "7", value)
	next := openL2(t, L2Options{MaxSize: "10kb"})
	if n, err := next.Restore(bytes.NewReader(snapshot(t, d))); n != 8 || err != nil {
		t.Errorf("restored %d, %v", n, err)
	}
	for _, key := range []string{"7", "99", "98", "93"} {
		expectL2(t, next, key, value)
	}
	expectL2(t, next, "0", "")
	// In the same order: the next one to go is the one used least recently.
	setL2(t, next, "new", value, 0)
	expectL2(t, next, "93", value)
	expectL2(t, next, "92", "")
}

func TestATierInUseIsNotRestored(t *testing.T) {
	d := openL2(t, L2Options{})
	setL2(t, d, "a", "old", 0)
	saved := snapshot(t, d)
	for name, use := range map[string]func(*L2) error{
		"set":    func(d *L2) error { setL2(t, d, "b", "x", 0); return nil },
		"delete": func(d *L2) error { return d.DeleteMany(t.Context(), []string{"a"}) },
		"prefix": func(d *L2) error { _, err := d.DeletePrefix(t.Context(), "a"); return err },
		"close":  (*L2).Close,
	} {
		next := openL2(t, L2Options{})
		if err := use(next); err != nil {
			t.Fatal(err)
		}
		if n, err := next.Restore(bytes.NewReader(saved)); n != 0 || !errors.Is(err, errUsed) {
			t.Errorf("after %s: restored %d, %v", name, n, err)
		}
	}
}

func TestADamagedSnapshotIsToldApart(t *testing.T) {
	d := openL2(t, L2Options{})
	setL2(t, d, "a", "one", 0)
	setL2(t, d, "b", "two", time.Hour)
	saved := snapshot(t, d)
	check := func(what string, data []byte) {
		next := openL2(t, L2Options{})
		n, err := next.Restore(bytes.NewReader(data))
		if !errors.Is(err, ErrSnapshot) || n > 2 || n != next.Len() {
			t.Errorf("%s: restored %d, %v", what, n, err)
		}
		values, err := next.GetMany(t.Context(), []string{"a", "b"})
		if err != nil || values[0] != nil && string(values[0]) != "one" || values[1] != nil && string(values[1]) != "two" {
			t.Errorf("%s: %q, %v", what, values, err)
		}
	}
	for n := range saved {
		check(fmt.Sprintf("the first %d bytes", n), saved[:n])
		flipped := bytes.Clone(saved)
		flipped[n] ^= 0xff
		check(fmt.Sprintf("bits flipped in byte %d", n), flipped)
	}
	check("foreign", []byte("#!/bin/sh\nexit 1\n"))
}

func TestSnapshotAndRestoreReportTheirStreams(t *testing.T) {
	d := openL2(t, L2Options{})
	setL2(t, d, "a", strings.Repeat("x", 1<<20), 0)
	broken := errors.New("broken")
	r, w := io.Pipe()
	r.CloseWithError(broken)
	if err := d.Snapshot(w); !errors.Is(err, broken) || !strings.HasPrefix(err.Error(), "memory: snapshot: ") {
		t.Errorf("snapshot: %v", err)
	}
	next := openL2(t, L2Options{})
	_, err := next.Restore(io.MultiReader(bytes.NewReader(snapshot(t, d)[:500]), iotest.ErrReader(broken)))
	if !errors.Is(err, broken) || !strings.HasPrefix(err.Error(), "memory: restore: ") {
		t.Errorf("restore: %v", err)
	}
}

func TestRangeNamesWhatIsKeptLongestFirst(t *testing.T) {
	d := New(Options{MaxItems: 100})
	for i := range 90 {
		d.Set(uint64(i), i, 1)
	}
	d.items.CleanUp() // reads count from now on
	for range 10 {
		d.Get(7)
	}
	d.items.CleanUp()
	var all []any
	d.Range(func(item any) bool {
		d.Delete(1) // the tier may be used
		all = append(all, item)
		return true
	})
	if len(all) != 90 {
		t.Fatalf("%d items", len(all))
	}
	at := func(item int) int {
		for i, it := range all {
			if it == any(item) {
				return i
			}
		}
		return -1
	}
	if at(7) > at(8) {
		t.Errorf("the one that was read comes at %d, one that was not at %d", at(7), at(8))
	}
	n := 0
	d.Range(func(any) bool { n++; return n < 3 })
	if n != 3 {
		t.Errorf("went on to %d after false", n)
	}
}
