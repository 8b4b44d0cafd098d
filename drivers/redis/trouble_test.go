package redis

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/drivertest/servers"
)

// everyOperation returns what each operation on d says, by the words that its error
// is to begin with.
func everyOperation(t *testing.T, d *Driver) map[string]error {
	t.Helper()
	ctx := t.Context()
	item := []drivers.Item{{Key: "a", Value: []byte("x")}}
	_, get := d.GetMany(ctx, []string{"a", "b"})
	_, add := d.AddMany(ctx, item)
	_, swap := d.SwapMany(ctx, []drivers.Swap{{Key: "a"}})
	_, lease := d.LeaseMany(ctx, []string{"a"}, drivers.LeaseRequest{Token: "t", TTL: time.Hour})
	_, fill := d.FillMany(ctx, item, "t")
	_, renew := d.RenewMany(ctx, []string{"a"}, "t", time.Hour)
	_, release := d.ReleaseMany(ctx, []string{"a"}, "t")
	_, prefix := d.DeletePrefix(ctx, "a")
	return map[string]error{
		"redis: get 2 keys: ":           get,
		"redis: set 1 key: ":            d.SetMany(ctx, item),
		"redis: delete 1 key: ":         d.DeleteMany(ctx, []string{"a"}),
		"redis: add 1 key: ":            add,
		"redis: swap 1 key: ":           swap,
		"redis: lease 1 key: ":          lease,
		"redis: fill 1 key: ":           fill,
		"redis: renew 1 key: ":          renew,
		"redis: release 1 key: ":        release,
		`redis: scan for prefix "a": `:  d.Scan(ctx, "a", func([]string) error { return nil }),
		`redis: delete prefix "a": `:    prefix,
		"redis: not ready: ":            d.Ready(ctx),
		`redis: publish on "channel": `: NewBus(d.client, BusOptions{}).Publish(ctx, "channel", nil),
	}
}

func expectErrors(t *testing.T, d *Driver, reason string, kind error) {
	t.Helper()
	for words, err := range everyOperation(t, d) {
		if err == nil || !strings.HasPrefix(err.Error(), words) || !strings.Contains(err.Error(), reason) {
			t.Errorf("error %v, want %q and %q", err, words, reason)
		}
		if errors.Is(err, drivers.ErrRefused) {
			t.Errorf("the caller is told that it is to blame: %v", err)
		}
		for _, k := range []error{drivers.ErrAnswered, drivers.ErrClosed} {
			if errors.Is(err, k) != (k == kind) {
				t.Errorf("%v: is %q: %v", err, k, k != kind)
			}
		}
	}
}

func TestErrorsNameTheOperation(t *testing.T) {
	client := goredis.NewClient(&goredis.Options{Addr: "127.0.0.1:1", MaxRetries: -1, DialerRetries: 1})
	defer client.Close()
	expectErrors(t, New(client, Options{}), "refused", nil)
}

func TestNoCredentialsIsAnError(t *testing.T) {
	expectErrors(t, New(dial(t, servers.Redis(t, "--requirepass", "secret")), Options{}), "NOAUTH", drivers.ErrAnswered)
}

func TestWrongCredentialsAreAnError(t *testing.T) {
	server := servers.Redis(t, "--requirepass", "secret")
	client := goredis.NewClient(&goredis.Options{Addr: server.Addr(), Password: "guess", MaxRetries: -1, DialerRetries: 1})
	defer client.Close()
	expectErrors(t, New(client, Options{}), "WRONGPASS", drivers.ErrAnswered)
}

func TestAClosedClientIsAnError(t *testing.T) {
	client := dial(t, servers.Redis(t))
	client.Close()
	expectErrors(t, New(client, Options{}), "closed", drivers.ErrClosed)
}

// A server that is full and does not evict: writes fail and change nothing, while
// reads, deletions and the ends of leases go on.
func TestAFullServer(t *testing.T) {
	client := dial(t, servers.Redis(t, "--maxmemory-policy", "noeviction"))
	d := New(client, Options{})
	ctx := t.Context()
	old := []drivers.Item{{Key: "a", Value: []byte("old")}}
	if err := d.SetMany(ctx, old); err != nil {
		t.Fatal(err)
	}
	if lent, err := d.LeaseMany(ctx, []string{"a"}, drivers.LeaseRequest{Token: "t", TTL: time.Hour}); err != nil || !lent[0].Taken {
		t.Fatal(lent, err)
	}
	limit := func(to string) {
		t.Helper()
		if err := client.ConfigSet(ctx, "maxmemory", to).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if lent, err := d.LeaseMany(ctx, []string{"held"}, drivers.LeaseRequest{Token: "t", TTL: time.Hour}); err != nil || !lent[0].Taken {
		t.Fatal(lent, err)
	}
	limit("1")
	// The server cannot note that somebody waits. Who waits is told who has the lease, and asks again.
	if lent, err := d.LeaseMany(ctx, []string{"held"}, drivers.LeaseRequest{Token: "t2", TTL: time.Hour, Await: true}); err != nil || lent[0].Holder != "t" {
		t.Errorf("a lease that another has: %+v, %v", lent, err)
	}
	if renewed, err := d.RenewMany(ctx, []string{"held"}, "t", time.Hour); err != nil || !renewed[0] {
		t.Errorf("renew: %v, %v", renewed, err)
	}
	if awaited, err := d.ReleaseMany(ctx, []string{"held"}, "t"); err != nil || awaited[0] {
		t.Errorf("release: %v, %v", awaited, err)
	}
	big := []drivers.Item{{Key: "a", Value: bytes.Repeat([]byte("x"), 1<<20)}}
	_, add := d.AddMany(ctx, []drivers.Item{{Key: "new"}})
	_, swap := d.SwapMany(ctx, []drivers.Swap{{Key: "a", Old: []byte("old"), New: []byte("new")}})
	_, lease := d.LeaseMany(ctx, []string{"b"}, drivers.LeaseRequest{Token: "t", TTL: time.Hour})
	_, fill := d.FillMany(ctx, big, "t")
	for words, err := range map[string]error{
		"redis: set 1 key: OOM": d.SetMany(ctx, big), "redis: set 2 keys: OOM": d.SetMany(ctx, append(big, old...)),
		"redis: add 1 key: OOM": add, "redis: swap 1 key: OOM": swap,
		"redis: lease 1 key: OOM": lease, "redis: fill 1 key: OOM": fill,
	} {
		if err == nil || !strings.HasPrefix(err.Error(), words) || errors.Is(err, drivers.ErrRefused) || !errors.Is(err, drivers.ErrAnswered) {
			t.Errorf("error %v, want %q", err, words)
		}
	}
	if got, err := d.GetMany(ctx, []string{"a", "new"}); err != nil || string(got[0]) != "old" || got[1] != nil {
		t.Errorf("after writes that failed: %q, %v", got, err)
	}
	if err := d.DeleteMany(ctx, []string{"a"}); err != nil {
		t.Errorf("delete: %v", err)
	}
	if n, err := d.DeletePrefix(ctx, "a"); err != nil || n != 0 {
		t.Errorf("delete prefix: %d, %v", n, err)
	}
	limit("0")
	if filled, err := d.FillMany(ctx, big, "t"); err != nil || filled[0].Stored {
		t.Errorf("the deletion did not end the lease: %v, %v", filled, err)
	}
}

func TestReadyNamesWhatTheServerLacks(t *testing.T) {
	d := New(dial(t, servers.Redis(t)), Options{})
	if err := d.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	lacking := servers.Redis(t, "--rename-command", "evalsha", "", "--rename-command", "scan", "")
	err := New(dial(t, lacking), Options{}).Ready(t.Context())
	if want := fmt.Sprintf("redis: not ready: %s: the server does not support SCAN, EVALSHA", lacking.Addr()); err == nil || err.Error() != want {
		t.Errorf("error %v, want %q", err, want)
	}
	d.Close()
	if err := d.Ready(t.Context()); !errors.Is(err, drivers.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// A user of an access control list with the rights that the documentation names, and
// no others, on the keys of one program, and no others.
func TestTheDocumentedRightsSuffice(t *testing.T) {
	server := servers.Redis(t)
	admin := dial(t, server)
	ctx := t.Context()
	rules := []any{"acl", "setuser", "cachegen", "on", ">pw", "resetkeys", "~app:*", "resetchannels", "-@all"}
	for _, right := range strings.Fields("+get +mget +set +del +unlink +eval +evalsha +scan +multi +exec +pttl +pexpire +info +ping +command|info +role") {
		rules = append(rules, right)
	}
	if err := admin.Do(ctx, rules...).Err(); err != nil {
		t.Fatal(err)
	}
	client := goredis.NewClient(&goredis.Options{Addr: server.Addr(), Username: "cachegen", Password: "pw", DisableIdentity: true})
	defer client.Close()
	d := New(client, Options{})
	item := []drivers.Item{{Key: "app:1", Value: []byte("x")}}
	_, lease := d.LeaseMany(ctx, []string{"app:1"}, drivers.LeaseRequest{Token: "t", TTL: time.Hour})
	filled, fill := d.FillMany(ctx, item, "t")
	_, again := d.LeaseMany(ctx, []string{"app:1"}, drivers.LeaseRequest{Token: "t", TTL: time.Hour})
	held, other := d.LeaseMany(ctx, []string{"app:1"}, drivers.LeaseRequest{Token: "t2", TTL: time.Hour, Await: true})
	renewed, renew := d.RenewMany(ctx, []string{"app:1"}, "t", time.Hour)
	awaited, release := d.ReleaseMany(ctx, []string{"app:1"}, "t")
	got, get := d.GetMany(ctx, []string{"app:1", "app:2"})
	n, prefix := d.DeletePrefix(ctx, "app:")
	if text, err := d.History(ctx); err != nil || text == "" {
		t.Errorf("history %q, %v", text, err)
	}
	if err := errors.Join(d.Ready(ctx), lease, fill, again, other, renew, release, get, prefix, d.SetMany(ctx, append(item, drivers.Item{Key: "app:2"})), d.DeleteMany(ctx, []string{"app:1"})); err != nil {
		t.Error(err)
	}
	if held[0].Holder != "t" || !renewed[0] || !awaited[0] {
		t.Errorf("held by %q, renewed %v, awaited %v", held[0].Holder, renewed, awaited)
	}
	if !filled[0].Stored || string(got[0]) != "x" || n != 1 {
		t.Errorf("filled %v, got %q, deleted %d", filled, got, n)
	}
	if err := d.SetMany(ctx, []drivers.Item{{Key: "other:1"}}); err == nil || !strings.HasPrefix(err.Error(), "redis: set 1 key: NOPERM") {
		t.Errorf("a key of another program: %v", err)
	}
}

// The same of a bus, with tracking.
func TestTheDocumentedRightsOfABusSuffice(t *testing.T) {
	server := servers.Redis(t)
	admin := dial(t, server)
	ctx := t.Context()
	rules := []any{"acl", "setuser", "cachegen", "on", ">pw", "resetkeys", "resetchannels", "&c", "&__redis__:invalidate", "-@all"}
	for _, right := range strings.Fields("+publish +subscribe +ping +client|id +client|tracking") {
		rules = append(rules, right)
	}
	if err := admin.Do(ctx, rules...).Err(); err != nil {
		t.Fatal(err)
	}
	b, e := track(t, goredis.NewClient(&goredis.Options{Addr: server.Addr(), Username: "cachegen", Password: "pw", DisableIdentity: true}), "app:")
	admin.Set(ctx, "app:1", "x", 0)
	e.expect(t, "changed app:1")
	if err := b.Publish(ctx, "c", []byte("x")); err != nil {
		t.Fatal(err)
	}
	e.expect(t, "message x")
}
