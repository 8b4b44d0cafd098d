package nats

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gonats "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/drivertest/servers"
)

func TestOptionsAreChecked(t *testing.T) {
	conn := dial(t, servers.NATS(t))
	for name, d := range map[string]*Driver{
		"no connection": New(nil, Options{}),
		"bucket":        New(conn, Options{Bucket: "a.b"}),
		"replicas":      New(conn, Options{Replicas: -1}),
		"bytes":         New(conn, Options{MaxBytes: -1}),
	} {
		if d.Err() == nil {
			t.Errorf("%s: accepted", name)
		}
		if _, err := d.GetMany(t.Context(), []string{"a"}); !errors.Is(err, drivers.ErrClosed) {
			t.Errorf("%s: use of it: %v", name, err)
		}
		if err := d.SetMany(t.Context(), []drivers.Item{{Key: "a"}}); !errors.Is(err, drivers.ErrClosed) {
			t.Errorf("%s: use of it: %v", name, err)
		}
		if err := errors.Join(d.Close(), d.Close()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, b := range map[string]*Bus{
		"no connection": NewBus(nil, BusOptions{}),
		"ping":          NewBus(conn, BusOptions{PingInterval: -1}),
		"wildcard":      NewBus(conn, BusOptions{Subject: "a.*"}),
		"empty word":    NewBus(conn, BusOptions{Subject: "a..b"}),
		"dot":           NewBus(conn, BusOptions{Subject: ".a"}),
	} {
		if b.Err() == nil {
			t.Errorf("%s: accepted", name)
		}
		if err := b.Publish(t.Context(), "c", nil); !errors.Is(err, drivers.ErrClosed) {
			t.Errorf("%s: use of it: %v", name, err)
		}
		if err := errors.Join(b.Close(), b.Close()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestErrorsNameTheBucketAndTheOperation(t *testing.T) {
	conn := dial(t, servers.NATS(t))
	conn.Close()
	d := New(conn, Options{Bucket: "prices"})
	ctx := t.Context()
	_, get := d.GetMany(ctx, []string{"a", "b"})
	_, prune := d.Prune(ctx)
	for want, err := range map[string]error{
		`nats: get 2 keys in bucket "prices": `:   get,
		`nats: prune in bucket "prices": `:        prune,
		`nats: set 1 key in bucket "prices": `:    d.SetMany(ctx, []drivers.Item{{Key: "a"}}),
		`nats: delete 1 key in bucket "prices": `: d.DeleteMany(ctx, []string{"a"}),
	} {
		if !errors.Is(err, gonats.ErrConnectionClosed) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("error %v, want %q and that the connection is closed", err, want)
		}
	}
}

// A program that connects in the background is told what the server has against it.
func TestWrongCredentialsAreAnError(t *testing.T) {
	server := servers.NATS(t, "--user", "u", "--pass", "secret")
	closed := make(chan struct{})
	conn := dial(t, server, gonats.UserInfo("u", "guessed"), gonats.RetryOnFailedConnect(true),
		gonats.ClosedHandler(func(*gonats.Conn) { close(closed) }))
	<-closed // nats.go gives up
	d, b := New(conn, Options{}), openBus(t, conn, BusOptions{})
	ctx := t.Context()
	_, get := d.GetMany(ctx, []string{"a", "b"})
	_, lease := d.LeaseMany(ctx, []string{"a"}, drivers.LeaseRequest{Token: "t", TTL: time.Hour})
	for want, err := range map[string]error{
		`nats: get 2 keys in bucket "cachegen": `:  get,
		`nats: lease 1 key in bucket "cachegen": `: lease,
		`nats: set 1 key in bucket "cachegen": `:   d.SetMany(ctx, []drivers.Item{{Key: "a"}}),
		`nats: publish on "c": `:                   b.Publish(ctx, "c", nil),
	} {
		if !errors.Is(err, gonats.ErrAuthorization) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("error %v, want %q and that the server does not know the user", err, want)
		}
		if err != nil && strings.Contains(err.Error(), "guessed") {
			t.Errorf("the error tells the password: %v", err)
		}
	}
	listen(t, b, "c").expect(t, `down nats: subscription to "c": nats: `)
}

func TestSkipCreate(t *testing.T) {
	conn := dial(t, servers.NATS(t))
	d := New(conn, Options{SkipCreate: true})
	if _, err := d.GetMany(t.Context(), []string{"a"}); !errors.Is(err, jetstream.ErrStreamNotFound) || !strings.Contains(err.Error(), "no such bucket") {
		t.Errorf("without a bucket: %v", err)
	}
	// One that the tools of NATS make.
	if _, err := d.js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: DefaultBucket}); err != nil {
		t.Fatal(err)
	}
	if _, err := d.GetMany(t.Context(), []string{"a"}); err != nil {
		t.Errorf("with a bucket: %v", err)
	}
}

// Both see what the other has stored.
func TestTheBucketIsOneOfOtherTools(t *testing.T) {
	conn := dial(t, servers.NATS(t))
	d := New(conn, Options{})
	ctx := t.Context()
	if err := d.SetMany(ctx, []drivers.Item{{Key: "users:7", Value: []byte("Ada"), TTL: time.Hour}, {Key: "gone"}}); err != nil {
		t.Fatal(err)
	}
	if err := d.DeleteMany(ctx, []string{"gone"}); err != nil {
		t.Fatal(err)
	}
	bucket, err := d.js.KeyValue(ctx, DefaultBucket)
	if err != nil {
		t.Fatal(err)
	}
	if e, err := bucket.Get(ctx, "users.7"); err != nil || string(e.Value()) != "Ada" {
		t.Errorf("%v, %v", e, err)
	}
	if _, err := bucket.Get(ctx, "gone"); !errors.Is(err, jetstream.ErrKeyNotFound) {
		t.Errorf("a deleted key: %v", err)
	}
	if _, err := bucket.PutString(ctx, "users.8", "Grace"); err != nil {
		t.Fatal(err)
	}
	if err := bucket.Delete(ctx, "users.7"); err != nil {
		t.Fatal(err)
	}
	values, err := d.GetMany(ctx, []string{"users:7", "users:8"})
	if err != nil || values[0] != nil || string(values[1]) != "Grace" {
		t.Errorf("%q, %v", values, err)
	}
}

// A bucket that is removed, or lost with a server's memory, is made again.
// What other tools put into the bucket under a name that no key has is not the driver's:
// it must not be taken for the key that its name looks like.
func TestForeignNamesAreLeftAlone(t *testing.T) {
	d := New(dial(t, servers.NATS(t)), Options{})
	ctx := t.Context()
	if err := d.SetMany(ctx, []drivers.Item{{Key: "a+", Value: []byte("mine")}, {Key: "", Value: []byte("mine")}}); err != nil {
		t.Fatal(err)
	}
	bucket, err := d.js.KeyValue(ctx, DefaultBucket)
	if err != nil {
		t.Fatal(err)
	}
	foreign := []string{"a=2b", "=61", "a.=61", "==.x"} // "a=2B" is a+
	for _, name := range foreign {
		if _, err := bucket.PutString(ctx, name, "theirs"); err != nil {
			t.Fatal(err)
		}
	}
	found := make(map[string]int)
	if err := d.Scan(ctx, "", func(keys []string) error {
		for _, key := range keys {
			found[key]++
		}
		return nil
	}); err != nil || len(found) != 2 || found["a+"] != 1 || found[""] != 1 {
		t.Errorf("scan names %v, %v", found, err)
	}
	for _, name := range foreign {
		if err := bucket.Delete(ctx, name); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := d.Prune(ctx); n != 0 || err != nil {
		t.Errorf("pruned %d, %v", n, err)
	}
	if got, err := d.GetMany(ctx, []string{"a+", ""}); err != nil || string(got[0]) != "mine" || string(got[1]) != "mine" {
		t.Errorf("after a prune: %q, %v", got, err)
	}
}

func TestALostBucketIsMadeAgain(t *testing.T) {
	d := New(dial(t, servers.NATS(t)), Options{Memory: true})
	ctx := t.Context()
	set := []drivers.Item{{Key: "a", Value: []byte("x")}}
	if err := d.SetMany(ctx, set); err != nil {
		t.Fatal(err)
	}
	for name, operation := range map[string]func(context.Context) error{
		"get":  func(ctx context.Context) error { _, err := d.GetMany(ctx, []string{"a"}); return err },
		"set":  func(ctx context.Context) error { return d.SetMany(ctx, set) },
		"scan": func(ctx context.Context) error { return d.Scan(ctx, "", func([]string) error { return nil }) },
	} {
		if err := d.js.DeleteStream(ctx, "KV_"+DefaultBucket); err != nil {
			t.Fatal(err)
		}
		limited, cancel := context.WithTimeout(ctx, time.Second)
		if err := operation(limited); err == nil {
			t.Errorf("%s without a bucket: no error", name)
		}
		cancel()
		if err := operation(ctx); err != nil {
			t.Errorf("%s again: %v", name, err)
		}
	}
}

func TestAServerWithoutJetStreamIsNamed(t *testing.T) {
	config := filepath.Join(t.TempDir(), "nats.conf")
	if err := os.WriteFile(config, []byte(`
		accounts {
			plain { users = [{user: p, password: p}] }
			stream { jetstream: enabled, users = [{user: s, password: s}] }
		}
	`), 0o600); err != nil {
		t.Fatal(err)
	}
	server := servers.NATS(t, "--config", config)
	_, err := New(dial(t, server, gonats.UserInfo("p", "p")), Options{}).GetMany(t.Context(), []string{"a"})
	if err == nil || !strings.Contains(err.Error(), "JetStream is not enabled") {
		t.Errorf("error %v", err)
	}
	if _, err := New(dial(t, server, gonats.UserInfo("s", "s")), Options{}).GetMany(t.Context(), []string{"a"}); err != nil {
		t.Errorf("an account that has it: %v", err)
	}
}

func TestAStreamThatIsNoBucketIsRefused(t *testing.T) {
	d := New(dial(t, servers.NATS(t)), Options{})
	if _, err := d.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "KV_" + DefaultBucket, Subjects: []string{"foreign"}}); err != nil {
		t.Fatal(err)
	}
	if err := d.SetMany(t.Context(), []drivers.Item{{Key: "a"}}); err == nil || !strings.Contains(err.Error(), "KV_cachegen") {
		t.Errorf("error %v", err)
	}
}

// A read of a replica that is behind would miss a write that has finished.
func TestReadsFromReplicasAreRefused(t *testing.T) {
	config := New(dial(t, servers.NATS(t)), Options{Replicas: 3}).config("KV_x")
	if err := usable(config); err != nil || config.AllowDirect {
		t.Errorf("of the driver's own: %v, allow_direct %v", err, config.AllowDirect)
	}
	config.AllowDirect = true
	if err := usable(config); err == nil || !strings.Contains(err.Error(), "allow_direct") {
		t.Errorf("error %v", err)
	}
}

// Buckets of several servers are read without allow_direct.
func TestIndirectReads(t *testing.T) {
	d := New(dial(t, servers.NATS(t)), Options{})
	config := d.config("KV_" + DefaultBucket)
	config.AllowDirect = false
	ctx := t.Context()
	if _, err := d.js.CreateStream(ctx, config); err != nil {
		t.Fatal(err)
	}
	value := bytes.Repeat([]byte{0, 255}, (maxPayload-Overhead)/2)
	if err := d.SetMany(ctx, []drivers.Item{{Key: "a", Value: value, TTL: time.Hour}, {Key: "b"}}); err != nil {
		t.Fatal(err)
	}
	values, err := d.GetMany(ctx, []string{"a", "b", "c"})
	if err != nil || !bytes.Equal(values[0], value) || values[1] == nil || values[2] != nil {
		t.Errorf("%d bytes, %q, %v", len(values[0]), values[1:], err)
	}
	if done, err := d.SwapMany(ctx, []drivers.Swap{{Key: "b", Old: []byte{}, New: []byte("x")}, {Key: "c", New: []byte("y")}}); err != nil || !done[0] || !done[1] {
		t.Errorf("%v, %v", done, err)
	}
}

func TestMaxBytes(t *testing.T) {
	d := New(dial(t, servers.NATS(t)), Options{MaxBytes: 100 << 10})
	ctx := t.Context()
	var err error
	for i := 0; i < 200 && err == nil; i++ {
		err = d.SetMany(ctx, []drivers.Item{{Key: fmt.Sprint(i), Value: make([]byte, 1<<10)}})
	}
	if err == nil || !strings.Contains(err.Error(), "maximum bytes exceeded") {
		t.Fatalf("a full bucket: %v", err)
	}
	values, err := d.GetMany(ctx, []string{"0", "199"})
	if err != nil || len(values[0]) != 1<<10 || values[1] != nil {
		t.Errorf("afterwards: %d bytes, %q, %v", len(values[0]), values[1], err)
	}
}

// What is invalid has to go, also where there is no room to say so.
func TestAFullBucketCanBeDeletedFrom(t *testing.T) {
	d := New(dial(t, servers.NATS(t)), Options{MaxBytes: 100 << 10})
	ctx := t.Context()
	fill := func() {
		t.Helper()
		for _, size := range []int{1 << 10, 1} {
			var err error
			for i := 0; err == nil; i++ {
				err = d.SetMany(ctx, []drivers.Item{{Key: fmt.Sprintf("%d:%d", size, i), Value: make([]byte, size)}})
			}
			if !full(err) || !errors.Is(err, drivers.ErrAnswered) {
				t.Fatal(err)
			}
		}
	}
	if lent, err := d.LeaseMany(ctx, []string{"1024:0"}, drivers.LeaseRequest{Token: "t", TTL: time.Hour}); err != nil || !lent[0].Taken {
		t.Fatal(lent, err)
	}
	fill()
	for _, keys := range [][]string{{"1024:0"}, {"1024:1", "1:0", "1:1", "absent"}} {
		if err := d.DeleteMany(ctx, keys); err != nil {
			t.Fatal(err)
		}
		values, err := d.GetMany(ctx, keys)
		if err != nil || slices.ContainsFunc(values, func(v []byte) bool { return v != nil }) {
			t.Errorf("after delete: %q, %v", values, err)
		}
	}
	if filled, err := d.FillMany(ctx, []drivers.Item{{Key: "1024:0"}}, "t"); err != nil || filled[0].Stored {
		t.Errorf("the lease outlived a delete: %v, %v", filled, err)
	}
	fill()
	if n, err := d.DeletePrefix(ctx, "1:"); err != nil || n < 2 {
		t.Errorf("removed %d, %v", n, err)
	}
}

// What a bucket itself allows can be less than the server.
func TestAnItemThatIsTooLargeIsRefusedByName(t *testing.T) {
	d := New(dial(t, servers.NATS(t)), Options{})
	ctx := t.Context()
	err := d.SetMany(ctx, []drivers.Item{{Key: "small"}, {Key: "prices:7", Value: make([]byte, maxPayload)}})
	if !errors.Is(err, drivers.ErrRefused) || !strings.Contains(err.Error(), `"prices:7"`) || !strings.Contains(err.Error(), "1048576") {
		t.Errorf("error %v", err)
	}
	config := d.config("KV_tight")
	config.Subjects, config.MaxMsgSize = []string{"$KV.tight.>"}, 1000
	if _, err := d.js.CreateStream(ctx, config); err != nil {
		t.Fatal(err)
	}
	err = New(d.conn, Options{Bucket: "tight"}).SetMany(ctx, []drivers.Item{{Key: "a", Value: make([]byte, 2000)}})
	if !errors.Is(err, drivers.ErrRefused) {
		t.Errorf("error %v", err)
	}
}

// The largest value of every kind of key can be lent.
func TestLargestValue(t *testing.T) {
	d := New(dial(t, servers.NATS(t)), Options{})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // rather than five seconds for each answer
	defer cancel()
	for _, length := range []int{1, maxName, maxName + 1, 64 << 10} {
		key, token, size := strings.Repeat("k", length), strings.Repeat("\x00", maxToken), maxPayload-Overhead
		if hashed(name(key)) {
			size -= length
		}
		item := drivers.Item{Key: key, Value: make([]byte, size), TTL: math.MaxInt64}
		if err := d.SetMany(ctx, []drivers.Item{item}); err != nil {
			t.Fatal(err)
		}
		// The largest headers: the longest TTL, and somebody who waits.
		want := drivers.LeaseRequest{Token: token, TTL: math.MaxInt64, Await: true}
		for _, taken := range []bool{true, false} {
			if lent, err := d.LeaseMany(ctx, []string{key}, want); err != nil || lent[0].Taken != taken || len(lent[0].Value) != size {
				t.Fatal(len(lent), err)
			}
		}
		if got, err := d.GetMany(ctx, []string{key}); err != nil || len(got[0]) != size {
			t.Fatal(len(got[0]), err)
		}
		if filled, err := d.FillMany(ctx, []drivers.Item{item}, token); err != nil || !filled[0].Stored || !filled[0].Awaited {
			t.Fatal(filled, err)
		}
	}
}

// Prune leaves nothing of what was deleted, and nothing of a lease that has ended.
func TestPruneLeavesNoTrace(t *testing.T) {
	d := New(dial(t, servers.NATS(t)), Options{})
	ctx := t.Context()
	long := strings.Repeat("k", maxName+1)
	items := []drivers.Item{{Key: "deleted"}, {Key: long}, {Key: "kept"}, {Key: "lent"}}
	if err := d.SetMany(ctx, items); err != nil {
		t.Fatal(err)
	}
	if lent, err := d.LeaseMany(ctx, []string{"ended"}, drivers.LeaseRequest{Token: "t", TTL: time.Nanosecond}); err != nil || !lent[0].Taken {
		t.Fatal(lent, err)
	}
	if err := d.DeleteMany(ctx, []string{"deleted", long, "lent", "never"}); err != nil {
		t.Fatal(err)
	}
	if lent, err := d.LeaseMany(ctx, []string{"lent"}, drivers.LeaseRequest{Token: "t", TTL: time.Hour}); err != nil || !lent[0].Taken {
		t.Fatal(lent, err)
	}
	for ended := time.Now().UnixMilli() + 2; time.Now().UnixMilli() < ended; {
		if _, err := d.GetMany(ctx, []string{"kept"}); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := d.Prune(ctx); err != nil || n != 0 {
		t.Errorf("pruned %d values, %v", n, err)
	}
	info, err := d.bound().Info(ctx)
	if err != nil || info.State.Msgs != 2 {
		t.Errorf("%d messages are left, want those of kept and lent; %v", info.State.Msgs, err)
	}
	if filled, err := d.FillMany(ctx, []drivers.Item{{Key: "lent"}}, "t"); err != nil || !filled[0].Stored {
		t.Error("Prune has ended a lease", err)
	}
}

// A process whose clock is an hour off may make others load, but nobody may hold up the others,
// nor store what was loaded before a change.
func TestLeasesUnderClocksThatDiffer(t *testing.T) {
	const ttl = time.Minute
	d := New(dial(t, servers.NATS(t)), Options{})
	ctx := t.Context()
	for _, offset := range []time.Duration{-time.Hour, -ttl / 2, 0, ttl / 2, time.Hour} {
		key, now := fmt.Sprint(offset), time.Now().Add(offset)
		if err := d.SetMany(ctx, []drivers.Item{{Key: key}}); err != nil {
			t.Fatal(err)
		}
		before, err := d.load(ctx, d.bound(), key)
		if err != nil {
			t.Fatal(err)
		}
		before.held = held{lease: "t1", leaseSince: now.Add(-ttl).UnixMilli(), leaseUntil: now.Add(ttl).UnixMilli()}
		if done, err := d.replace(ctx, key, before.sequence, before); !done || err != nil {
			t.Fatal(done, err)
		}
		got, err := d.LeaseMany(ctx, []string{key}, drivers.LeaseRequest{Token: "t2", TTL: ttl, Await: true})
		if err != nil {
			t.Fatal(err)
		}
		if differ := offset.Abs() > ttl; got[0].Taken != differ {
			t.Errorf("%s: another takes the lease at once: %v", offset, got[0].Taken)
		}
		if got[0].Left > 2*ttl {
			t.Errorf("%s: others have to wait for %s", offset, got[0].Left)
		}
		if err := d.DeleteMany(ctx, []string{key}); err != nil {
			t.Fatal(err)
		}
		// race R44: under any clock.
		for _, token := range []string{"t1", "t2"} {
			if filled, err := d.FillMany(ctx, []drivers.Item{{Key: key}}, token); err != nil || filled[0].Stored {
				t.Errorf("%s: what was loaded before a deletion is stored after it: %v, %v", offset, filled, err)
			}
		}
	}
}
