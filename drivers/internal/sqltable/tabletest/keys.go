package tabletest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/internal/sqltable"
)

// oppositeBatches: batches that lock rows in opposite orders end in a deadlock, in a database
// that locks rows, and the aborted batch is repeated.
func oppositeBatches(t *testing.T, b Backend) {
	const workers, rounds, keys = 4, 15, 40
	var wg sync.WaitGroup
	for w := range workers {
		s := b.open(t, b.Open(t), sqltable.Options{Table: "t_opposite", BusyTimeout: time.Minute})
		wg.Go(func() {
			var items []drivers.Item
			var names []string
			for k := range keys {
				if w%2 == 1 {
					k = keys - 1 - k
				}
				items = append(items, drivers.Item{Key: fmt.Sprint(k), Value: fmt.Append(nil, w)})
				names = append(names, fmt.Sprint(k))
			}
			token := fmt.Sprint("t", w)
			for range rounds {
				_, err1 := s.LeaseMany(t.Context(), names, drivers.LeaseRequest{Token: token, TTL: time.Hour})
				_, err2 := s.FillMany(t.Context(), items, token)
				_, err3 := s.AddMany(t.Context(), items)
				err4 := s.SetMany(t.Context(), items)
				err5 := s.DeleteMany(t.Context(), names)
				for _, err := range []error{err1, err2, err3, err4, err5} {
					if err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
}

func keysNamedTwice(t *testing.T, b Backend) {
	s := b.open(t, b.Open(t), sqltable.Options{Table: "t_twice"})
	ctx := t.Context()
	items := []drivers.Item{{Key: "a", Value: []byte("1")}, {Key: "b", Value: []byte("2")}, {Key: "a", Value: []byte("3")}}
	set(t, s, items...)
	if got := get(t, s, "a"); string(got) != "3" {
		t.Errorf("after a batch with two values: %q, want the later", got)
	}
	if err := s.DeleteMany(ctx, []string{"a", "b", "a"}); err != nil {
		t.Error(err)
	}
	added, err := s.AddMany(ctx, items)
	if err != nil || string(added[0]) != "1" || string(added[2]) != "1" {
		t.Errorf("added %q, %v, want the first value twice", added, err)
	}
	want := drivers.LeaseRequest{Token: "t", TTL: time.Hour}
	leased, err := s.LeaseMany(ctx, []string{"a", "a"}, want)
	if err != nil || !leased[0].Taken || leased[1].Taken || leased[1].Holder != "t" || string(leased[1].Value) != "1" {
		t.Errorf("leased %v, %v", leased, err)
	} else if leased[0].Value[0] = 'X'; string(leased[1].Value) != "1" {
		t.Error("both values are the same memory")
	}
	want.Replace = true
	leased, err = s.LeaseMany(ctx, []string{"a", "a"}, want)
	if err != nil || !leased[0].Taken || !leased[1].Taken {
		t.Errorf("replaced %v, %v", leased, err)
	}
	renewed, err := s.RenewMany(ctx, []string{"a", "a", "b"}, "t", time.Hour)
	if err != nil || !renewed[0] || !renewed[1] || renewed[2] {
		t.Errorf("renewed %v, %v", renewed, err)
	}
	filled, err := s.FillMany(ctx, items, "t")
	if err != nil || !filled[0].Stored || filled[1].Stored || filled[2].Stored {
		t.Errorf("filled %v, %v", filled, err)
	}
	swapped, err := s.SwapMany(ctx, []drivers.Swap{
		{Key: "a", Old: []byte("1"), New: []byte("2")}, {Key: "a", Old: []byte("2")}, {Key: "a", New: []byte("4")},
		{Key: "a", Old: []byte("2"), New: []byte("5")},
	})
	if err != nil || !swapped[0] || !swapped[1] || !swapped[2] || swapped[3] {
		t.Errorf("swapped %v, %v", swapped, err)
	}
	if got := get(t, s, "a"); string(got) != "4" {
		t.Errorf("after swaps in a row: %q", got)
	}
}

// longKeys are equal to an index that stores only the beginning of a key.
func longKeys(t *testing.T, b Backend) {
	s := b.open(t, b.Open(t), sqltable.Options{Table: "t_long"})
	long := strings.Repeat("k", 64<<10)
	keys := []string{long[:511], long[:512], long[:513], long[:544], long, long[1:], long[1:] + "x", long[:600] + "\xff", long[:600] + "\xff\xff"}
	for i, key := range keys {
		set(t, s, drivers.Item{Key: key, Value: fmt.Append(nil, i)})
	}
	for i, key := range keys {
		if got := get(t, s, key); string(got) != fmt.Sprint(i) {
			t.Errorf("key of %d bytes: %q, want %d", len(key), got, i)
		}
	}
	for prefix, want := range map[string]int{long[:511]: 9, long[:512]: 8, long[:513]: 7, long[:600] + "\xff": 2, long: 1} {
		var found []string
		if err := s.Scan(t.Context(), prefix, func(keys []string) error { found = append(found, keys...); return nil }); err != nil {
			t.Fatal(err)
		}
		if len(found) != want {
			t.Errorf("%d keys begin with a prefix of %d bytes, want %d", len(found), len(prefix), want)
		}
	}
	if n, err := s.DeletePrefix(t.Context(), long[:600]+"\xff"); err != nil || n != 2 {
		t.Errorf("removed %d, %v", n, err)
	}
	if n, err := s.DeletePrefix(t.Context(), long[:512]); err != nil || n != 6 {
		t.Errorf("removed %d, %v", n, err)
	}
}

// oneConnection: a scan that held its connection while the callback runs would wait forever.
func oneConnection(t *testing.T, b Backend) {
	db := b.Open(t)
	db.SetMaxOpenConns(1)
	s := b.open(t, db, sqltable.Options{Table: "t_callback"})
	var items []drivers.Item
	for i := range 1500 {
		items = append(items, drivers.Item{Key: fmt.Sprint("a", i)})
	}
	set(t, s, items...)
	err := s.Scan(t.Context(), "a", func(keys []string) error { return s.DeleteMany(t.Context(), keys) })
	if err != nil {
		t.Fatal(err)
	}
	if n, err := s.DeletePrefix(t.Context(), "a"); err != nil || n != 0 {
		t.Errorf("%d keys are left, %v", n, err)
	}
}

// fewConnections: if operations held one connection while they wait for another, as many
// operations as there are connections would wait forever.
func fewConnections(t *testing.T, b Backend) {
	db := b.Open(t)
	db.SetMaxOpenConns(1)
	s := b.open(t, db, sqltable.Options{Table: "t_few"})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	items := []drivers.Item{{Key: "a", Value: []byte("1")}}
	if _, err := s.AddMany(ctx, items); err != nil {
		t.Error(err)
	}
	if done, err := s.SwapMany(ctx, []drivers.Swap{{Key: "a", Old: []byte("1"), New: []byte("2")}}); err != nil || !done[0] {
		t.Errorf("swapped %v, %v", done, err)
	}
	want := drivers.LeaseRequest{Token: "t", TTL: time.Hour}
	for _, keys := range [][]string{{"a"}, {"b", "c"}} {
		if lent, err := s.LeaseMany(ctx, keys, want); err != nil || !lent[0].Taken {
			t.Errorf("lent %v, %v", lent, err)
		}
		if lent, err := s.LeaseMany(ctx, keys, want); err != nil || lent[0].Holder != "t" {
			t.Errorf("lent %v, %v", lent, err)
		}
		if renewed, err := s.RenewMany(ctx, keys, "t", time.Hour); err != nil || !renewed[0] {
			t.Errorf("renewed %v, %v", renewed, err)
		}
	}
	items = append(items, drivers.Item{Key: "b"})
	for _, items := range [][]drivers.Item{items[:1], items} {
		if filled, err := s.FillMany(ctx, items, "t"); err != nil || !filled[len(items)-1].Stored {
			t.Errorf("filled %v, %v", filled, err)
		}
	}
	if _, err := s.ReleaseMany(ctx, []string{"b", "c"}, "t"); err != nil {
		t.Error(err)
	}
}

// firstUse: concurrent first uses of a table prepare the same statements, and close those that
// another was faster with. The close must not wait for the rows of another operation.
func firstUse(t *testing.T, b Backend) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	db := b.Open(t)
	db.SetMaxOpenConns(4) // so that operations share connections
	for range 40 {
		s := b.open(t, db, sqltable.Options{Table: "t_first"})
		var all sync.WaitGroup
		for range 16 {
			all.Go(func() {
				if _, err := s.AddMany(ctx, []drivers.Item{{Key: "a"}, {Key: "b"}}); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if err := s.DeleteMany(ctx, []string{"a", "b"}); err != nil {
			t.Error(err)
		}
	}
}
