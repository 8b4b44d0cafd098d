package seal

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/drivertest"
	"github.com/cachegen/cachegen/drivers/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newTier() *memory.L2 { return memory.NewL2(memory.L2Options{MaxSize: "300mb"}) }

func secretKey(n byte) []byte { return bytes.Repeat([]byte{n}, 32) }

func TestConformance(t *testing.T) {
	const everything = drivertest.Adds | drivertest.Swaps | drivertest.Leases | drivertest.Scans | drivertest.DeletesPrefixes | drivertest.Prunes
	drivertest.L2(t, func(t *testing.T) drivers.L2 {
		return New(newTier(), Options{Keys: [][]byte{secretKey(1), secretKey(2)}})
	}, everything)
}

// The vectors of c2sp.org/XAES-256-GCM.
func TestXAES(t *testing.T) {
	for _, vector := range []struct {
		key          byte
		data, sealed string
	}{
		{1, "", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271"},
		{3, "c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d"},
	} {
		x, err := newXAES(secretKey(vector.key))
		if err != nil {
			t.Fatal(err)
		}
		nonce := []byte("ABCDEFGHIJKLMNOPQRSTUVWX")
		aead, err := x.derive(nonce)
		if err != nil {
			t.Fatal(err)
		}
		got := aead.Seal(nil, nonce[derivation:], []byte("XAES-256-GCM"), []byte(vector.data))
		if hex.EncodeToString(got) != vector.sealed {
			t.Errorf("key %d: %x, want %s", vector.key, got, vector.sealed)
		}
	}
}

func store(t *testing.T, d drivers.L2, key string, value []byte) {
	t.Helper()
	if err := d.SetMany(t.Context(), []drivers.Item{{Key: key, Value: value}}); err != nil {
		t.Fatal(err)
	}
}

func load(t *testing.T, d drivers.L2, key string) []byte {
	t.Helper()
	got, err := d.GetMany(t.Context(), []string{key})
	if err != nil {
		t.Fatal(err)
	}
	return got[0]
}

func TestWhatIsStoredSaysNothing(t *testing.T) {
	tier := newTier()
	d := New(tier, Options{Keys: [][]byte{secretKey(1)}})
	value := []byte("a secret that must not be seen")
	store(t, d, "a", value)
	first := load(t, tier, "a")
	store(t, d, "a", value)
	second := load(t, tier, "a")
	if bytes.Contains(first, value[:5]) || bytes.Equal(first, second) || bytes.Equal(first[len(magic)+idSize:][:nonceSize], second[len(magic)+idSize:][:nonceSize]) {
		t.Errorf("stored as %x and %x", first, second)
	}
	if len(first) != len(value)+48 {
		t.Errorf("%d bytes are stored as %d", len(value), len(first))
	}
}

func TestAValueIsBoundToItsKey(t *testing.T) {
	tier := newTier()
	d := New(tier, Options{Keys: [][]byte{secretKey(1)}})
	store(t, d, "user:1", []byte("admin"))
	store(t, tier, "user:2", load(t, tier, "user:1"))
	if got := load(t, d, "user:2"); got != nil {
		t.Errorf("moved to another key it reads %q", got)
	}
}

func TestAnyChangeIsNoticed(t *testing.T) {
	tier := newTier()
	d := New(tier, Options{Keys: [][]byte{secretKey(1)}})
	store(t, d, "a", []byte("value"))
	whole := load(t, tier, "a")
	changed := map[string][]byte{"longer": append(bytes.Clone(whole), 0), "not encrypted": []byte("value"), "empty": {}}
	for i := range whole {
		changed[fmt.Sprintf("the first %d bytes", i)] = whole[:i]
		flipped := bytes.Clone(whole)
		flipped[i] ^= 1
		changed[fmt.Sprintf("a bit flipped in byte %d", i)] = flipped
	}
	for what, stored := range changed {
		store(t, tier, "a", stored)
		if got := load(t, d, "a"); got != nil {
			t.Errorf("%s: reads %q", what, got)
		}
	}
}

func TestKeysRotate(t *testing.T) {
	tier := newTier()
	var why error
	with := func(keys ...byte) drivers.L2 {
		o := Options{Unreadable: func(_ string, err error) { why = err }}
		for _, n := range keys {
			o.Keys = append(o.Keys, secretKey(n))
		}
		return New(tier, o)
	}
	store(t, with(1), "old", []byte("1"))
	store(t, with(2, 1), "new", []byte("2"))
	for _, test := range []struct {
		keys     []byte
		old, new string
	}{{[]byte{1, 2}, "1", "2"}, {[]byte{2, 1}, "1", "2"}, {[]byte{2}, "", "2"}, {[]byte{1}, "1", ""}} {
		d := with(test.keys...)
		if old, new := load(t, d, "old"), load(t, d, "new"); string(old) != test.old || string(new) != test.new {
			t.Errorf("keys %v: %q and %q", test.keys, old, new)
		}
	}
	if !errors.Is(why, errKey) {
		t.Errorf("told %v", why)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for _, keys := range [][][]byte{nil, {{}}, {secretKey(1), []byte("passphrase")}, {make([]byte, 16)}} {
		checker, _ := drivers.CheckerOf(New(newTier(), Options{Keys: keys}))
		err := checker.Err()
		if err == nil || !strings.HasPrefix(err.Error(), "seal: ") || strings.Contains(err.Error(), "passphrase") {
			t.Errorf("error %v", err)
		}
	}
}
