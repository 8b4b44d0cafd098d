package tabletest

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/internal/sqltable"
)

// leasesOfRows: the same requests in batches of one and of several keys, which are different
// statements, to rows with a value, with a value that has expired, with a lease and with none.
func leasesOfRows(t *testing.T, b Backend) {
	s := b.open(t, b.Open(t), sqltable.Options{Table: "t_rows"})
	ctx := t.Context()
	for _, several := range []bool{false, true} {
		key := func(name string) []string {
			keys := []string{fmt.Sprint(name, several)}
			if several {
				keys = append(keys, keys[0]+"2", keys[0]+"3")
			}
			return keys
		}
		lease := func(name string, want drivers.LeaseRequest) drivers.Lease {
			t.Helper()
			want.TTL = time.Hour
			got, err := s.LeaseMany(ctx, key(name), want)
			if err != nil {
				t.Fatal(err)
			}
			for _, other := range got[1:] {
				if other.Taken != got[0].Taken || other.Holder != got[0].Holder || string(other.Value) != string(got[0].Value) {
					t.Errorf("%s: answers %v", name, got)
				}
			}
			return got[0]
		}
		items := func(name, value string, ttl time.Duration) (all []drivers.Item) {
			for _, key := range key(name) {
				all = append(all, drivers.Item{Key: key, Value: []byte(value), TTL: ttl})
			}
			return all
		}
		set(t, s, append(append(items("value", "v", 0), items("empty", "", 0)...), items("expired", "v", 1)...)...)
		for get(t, s, key("expired")[0]) != nil {
		}

		if got := lease("value", drivers.LeaseRequest{Token: "t1", IfAbsent: true, Await: true}); got.Taken || got.Holder != "" || string(got.Value) != "v" {
			t.Errorf("where there is a value: %+v", got)
		}
		if got := lease("value", drivers.LeaseRequest{Token: "t1", IfAbsent: true, Replace: true}); got.Taken || got.Holder != "" || string(got.Value) != "v" {
			t.Errorf("where there is a value, replacing: %+v", got)
		}
		for name, want := range map[string]string{"value": "v", "empty": "", "expired": "absent", "nothing": "absent"} {
			value := func(l drivers.Lease) string {
				if l.Value == nil {
					return "absent"
				}
				return string(l.Value)
			}
			if got := lease(name, drivers.LeaseRequest{Token: "t1"}); !got.Taken || got.Holder != "" || value(got) != want {
				t.Errorf("%s: %+v", name, got)
			}
			for _, by := range []string{"t1", "t2"} {
				got := lease(name, drivers.LeaseRequest{Token: by})
				if got.Taken || got.Holder != "t1" || value(got) != want || got.Left <= 59*time.Minute || got.Left > time.Hour+time.Second {
					t.Errorf("%s, lent to t1, asked for by %s: %+v", name, by, got)
				}
			}
			filled, err := s.FillMany(ctx, items(name, "x", 0), "t1")
			if err != nil || !filled[0].Stored || filled[0].Awaited {
				t.Errorf("%s, filled: %v, %v", name, filled, err)
			}
			// Twice: the first request notes it, the second finds it noted.
			lease(name, drivers.LeaseRequest{Token: "t1"})
			for range 2 {
				if got := lease(name, drivers.LeaseRequest{Token: "t2", Await: true}); got.Taken || got.Holder != "t1" {
					t.Errorf("%s, awaited: %+v", name, got)
				}
			}
			if renewed, err := s.RenewMany(ctx, key(name), "t1", time.Hour); err != nil || !renewed[0] {
				t.Errorf("%s, renewed: %v, %v", name, renewed, err)
			}
			filled, err = s.FillMany(ctx, items(name, "y", 0), "t1")
			for i := range filled {
				if !filled[i].Stored || !filled[i].Awaited {
					t.Errorf("%s, awaited and filled: %v", name, filled)
				}
			}
			if err != nil {
				t.Error(err)
			}
			// The next lease is awaited by nobody.
			if got := lease(name, drivers.LeaseRequest{Token: "t3"}); !got.Taken || string(got.Value) != "y" {
				t.Errorf("%s, after a fill: %+v", name, got)
			}
			if awaited, err := s.ReleaseMany(ctx, key(name), "t3"); err != nil || awaited[0] {
				t.Errorf("%s, released: %v, %v", name, awaited, err)
			}
			lease(name, drivers.LeaseRequest{Token: "t3"})
			lease(name, drivers.LeaseRequest{Token: "t4", Await: true})
			if got := lease(name, drivers.LeaseRequest{Token: "t5", Replace: true, Await: true}); !got.Taken || string(got.Value) != "y" {
				t.Errorf("%s, replaced: %+v", name, got)
			}
			if got, err := s.FillMany(ctx, items(name, "z", 0), "t3"); err != nil || got[0].Stored {
				t.Errorf("%s, filled by who was replaced: %v, %v", name, got, err)
			}
			lease(name, drivers.LeaseRequest{Token: "t6", Await: true})
			awaited, err := s.ReleaseMany(ctx, key(name), "t5")
			for i := range awaited {
				if !awaited[i] {
					t.Errorf("%s, awaited and released: %v", name, awaited)
				}
			}
			if err != nil {
				t.Error(err)
			}
			if value := get(t, s, key(name)[0]); string(value) != "y" {
				t.Errorf("%s: at the end %q", name, value)
			}
		}
	}
}

// releaseLeavesNoRow: what was leased and released, without a value, takes no space.
func releaseLeavesNoRow(t *testing.T, b Backend) {
	db := b.Open(t)
	s := b.open(t, db, sqltable.Options{Table: "t_bare"})
	set(t, s, drivers.Item{Key: "value"})
	for _, keys := range [][]string{{"a"}, {"value", "b", "c", "d"}} {
		if _, err := s.LeaseMany(t.Context(), keys, drivers.LeaseRequest{Token: "t", TTL: time.Hour}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.ReleaseMany(t.Context(), keys, "t"); err != nil {
			t.Fatal(err)
		}
	}
	var rows int
	if err := db.QueryRow("SELECT count(*) FROM t_bare").Scan(&rows); err != nil || rows != 1 {
		t.Errorf("%d rows are left, %v", rows, err)
	}
}

// answersWhileChanged: a lease that is not taken has a reason, whatever others do in the midst
// of the call; and a holder that is awaited is told so.
func answersWhileChanged(t *testing.T, b Backend) {
	const workers, rounds = 6, 60
	keys := []string{"a", "b", "c"}
	var wg sync.WaitGroup
	for w := range workers {
		s := b.open(t, b.Open(t), sqltable.Options{Table: "t_changed", BusyTimeout: time.Minute})
		wg.Go(func() {
			for round := range rounds {
				token := fmt.Sprint(w, "/", round)
				want := drivers.LeaseRequest{Token: token, TTL: time.Minute, IfAbsent: rand.N(2) == 0, Await: rand.N(2) == 0, Replace: rand.N(8) == 0}
				asked := keys[:1+rand.N(len(keys))]
				got, err := s.LeaseMany(t.Context(), asked, want)
				if err != nil {
					t.Error(err)
					return
				}
				var items []drivers.Item
				for i, lease := range got {
					switch {
					case lease.Taken && lease.Holder == "" && (!want.IfAbsent || lease.Value == nil):
						items = append(items, drivers.Item{Key: asked[i], Value: []byte(token)})
					case !lease.Taken && want.IfAbsent && lease.Value != nil && lease.Holder == "":
					case !lease.Taken && !want.Replace && lease.Holder != "" && lease.Holder != token && lease.Left > 0:
					default:
						t.Errorf("%+v is answered by %+v", want, lease)
						return
					}
				}
				switch rand.N(4) {
				case 0:
					_, err = s.FillMany(t.Context(), items, token)
				case 1:
					_, err = s.ReleaseMany(t.Context(), keys, token)
				case 2:
					err = s.SetMany(t.Context(), []drivers.Item{{Key: keys[rand.N(len(keys))]}})
				case 3:
					err = s.DeleteMany(t.Context(), asked)
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}
