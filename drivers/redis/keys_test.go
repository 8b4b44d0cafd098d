package redis

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/drivertest/servers"
)

var awkwardKeys = []string{
	"", "a", "user:1", "{", "}", "{}", "{}a", "a{b", "a}b", "}{", "{a}", "{a}b", "x{a}b{c}", "a{}b{c}", "{{a}}", "{a", "a{",
	"\x00", "\xff\xfe", "日本", ":!lease", "a:!lease", "a:!leaseAA", leaseMark + "AAAA", strings.Repeat("k", 70_000), "a\r\n",
}

func TestEverySlotHasAPadding(t *testing.T) {
	for slot, pad := range slotTables().paddings {
		if pad[0] == 0 {
			t.Fatalf("slot %d has none", slot)
		}
	}
}

func TestLeasesAreFoundFromTheirNames(t *testing.T) {
	for _, key := range awkwardKeys {
		lease := leaseKey(key)
		if !strings.HasPrefix(lease, key+leaseMark) {
			t.Errorf("%.40q: lease %.60q", key, lease)
		}
		if entry, ok := leaseOf(lease); !ok || entry != key {
			t.Errorf("%.40q: its lease is taken for that of %.40q, %v", key, entry, ok)
		}
		if _, ok := leaseOf(key); ok {
			t.Errorf("%.40q is taken for a lease", key)
		}
	}
	// Processes of several versions share leases.
	for key, want := range map[string]string{"user:1": "user:1:!leaseDNL", "{a}b": "{a}b:!leaseAAA"} {
		if got := leaseKey(key); got != want {
			t.Errorf("the lease of %q is %q, was %q", key, got, want)
		}
	}
}

// The server itself says which slots keys are in.
func TestALeaseIsInTheSlotOfItsKey(t *testing.T) {
	client := dial(t, servers.Redis(t, "--cluster-enabled", "yes"))
	keys := slices.Clone(awkwardKeys)
	for i := range 2000 {
		keys = append(keys, fmt.Sprint("user:", i))
	}
	pipe := client.Pipeline()
	var own, lease []*goredis.IntCmd
	for _, key := range keys {
		own = append(own, pipe.ClusterKeySlot(t.Context(), key))
		lease = append(lease, pipe.ClusterKeySlot(t.Context(), leaseKey(key)))
	}
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, key := range keys {
		if own[i].Val() != lease[i].Val() {
			t.Errorf("%.40q is in slot %d, its lease in %d", key, own[i].Val(), lease[i].Val())
		}
	}
}

// A lease must not be stored over, read or given away as if it were an entry.
func TestKeysNamedLikeLeasesAreRefused(t *testing.T) {
	d := New(dial(t, servers.Redis(t)), Options{})
	ctx, key := t.Context(), leaseKey("a")
	item := []drivers.Item{{Key: key, Value: []byte("x")}}
	_, get := d.GetMany(ctx, []string{"a", key})
	_, add := d.AddMany(ctx, item)
	_, swap := d.SwapMany(ctx, []drivers.Swap{{Key: key}})
	_, lease := d.LeaseMany(ctx, []string{key}, drivers.LeaseRequest{Token: "t", TTL: time.Hour})
	_, fill := d.FillMany(ctx, item, "t")
	_, renew := d.RenewMany(ctx, []string{key}, "t", time.Hour)
	_, release := d.ReleaseMany(ctx, []string{key}, "t")
	for operation, err := range map[string]error{
		"get": get, "add": add, "swap": swap, "lease": lease, "fill": fill, "set": d.SetMany(ctx, item),
		"delete": d.DeleteMany(ctx, []string{key}), "release": release, "renew": renew,
	} {
		if !errors.Is(err, drivers.ErrRefused) || !strings.HasPrefix(err.Error(), "redis: "+operation) {
			t.Errorf("%s: %v", operation, err)
		}
	}
}

// A prefix that begins the name of a lease does not begin its key.
func TestAPrefixOfALeaseAloneDeletesNothing(t *testing.T) {
	d := New(dial(t, servers.Redis(t)), Options{})
	ctx := t.Context()
	if err := d.SetMany(ctx, []drivers.Item{{Key: "a", Value: []byte("x")}}); err != nil {
		t.Fatal(err)
	}
	if lent, err := d.LeaseMany(ctx, []string{"a"}, drivers.LeaseRequest{Token: "t", TTL: time.Hour}); err != nil || !lent[0].Taken {
		t.Fatal(lent, err)
	}
	for _, prefix := range []string{"a:", "a:!le", "a" + leaseMark, leaseKey("a")} {
		if n, err := d.DeletePrefix(ctx, prefix); err != nil || n != 0 {
			t.Errorf("%q: %d, %v", prefix, n, err)
		}
		if got, err := d.GetMany(ctx, []string{"a"}); err != nil || string(got[0]) != "x" {
			t.Fatalf("after DeletePrefix of %q: %q, %v", prefix, got, err)
		}
	}
	if filled, err := d.FillMany(ctx, []drivers.Item{{Key: "a", Value: []byte("y")}}, "t"); err != nil || !filled[0].Stored {
		t.Errorf("the lease has ended: %v, %v", filled, err)
	}
}

func TestWhatIsTooLargeForTheProtocolIsRefused(t *testing.T) {
	d := New(dial(t, servers.Redis(t)), Options{})
	huge := make([]byte, maxBulk+1) // never touched, never sent
	err := d.SetMany(t.Context(), []drivers.Item{{Key: "a", Value: huge}})
	if !errors.Is(err, drivers.ErrRefused) {
		t.Errorf("error %v", err)
	}
}
