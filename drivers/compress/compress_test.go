package compress

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	goruntime "runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"go.uber.org/goleak"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/drivertest"
	"github.com/cachegen/cachegen/drivers/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newTier() *memory.L2 { return memory.NewL2(memory.L2Options{MaxSize: "300mb"}) }

func TestConformance(t *testing.T) {
	const everything = drivertest.Adds | drivertest.Swaps | drivertest.Leases | drivertest.Scans | drivertest.DeletesPrefixes | drivertest.Prunes
	for name, options := range map[string]Options{"Default": {}, "Everything": {Threshold: 1}} {
		t.Run(name, func(t *testing.T) {
			drivertest.L2(t, func(t *testing.T) drivers.L2 { return New(newTier(), options) }, everything, drivertest.Limits{LargestValue: 16 << 20})
		})
	}
}

// text compresses well, noise does not at all.
func text(n int) []byte {
	return []byte(strings.Repeat(`{"id":1,"name":"Ada Lovelace"},`, n/31+1))[:n]
}

func noise(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{}).Read(b)
	return b
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

func TestOnlyWhatBecomesSmallerIsCompressed(t *testing.T) {
	for name, test := range map[string]struct {
		value  []byte
		stored func(n int) bool
	}{
		"empty":           {[]byte{}, func(n int) bool { return n == 0 }},
		"below threshold": {text(99), func(n int) bool { return n == 99 }},
		"at threshold":    {text(100), func(n int) bool { return n < 80 }},
		"large":           {text(100_000), func(n int) bool { return n < 2000 }},
		"noise":           {noise(100_000), func(n int) bool { return n == 100_000 }},
		"magic":           {magic, func(n int) bool { return n == 4+1+1+4 }},
		"magic and more":  {append(bytes.Clone(magic), noise(200)...), func(n int) bool { return n == 4+1+2+204 }},
	} {
		tier := newTier()
		d := New(tier, Options{Threshold: 100})
		before := bytes.Clone(test.value)
		store(t, d, "a", test.value)
		if got := load(t, d, "a"); got == nil || !bytes.Equal(got, before) || !bytes.Equal(test.value, before) {
			t.Errorf("%s: got %.40q", name, got)
		}
		if n := len(load(t, tier, "a")); !test.stored(n) {
			t.Errorf("%s: %d bytes are stored as %d", name, len(before), n)
		}
	}
}

func TestATierInUseCanBeWrapped(t *testing.T) {
	tier := newTier()
	d := New(tier, Options{})
	store(t, tier, "a", text(10_000))
	if got := load(t, d, "a"); !bytes.Equal(got, text(10_000)) {
		t.Errorf("got %.40q", got)
	}
	swapper, _ := drivers.SwapperOf(d)
	swapped, err := swapper.SwapMany(t.Context(), []drivers.Swap{{Key: "a", Old: text(10_000), New: []byte("x")}})
	if err != nil || !swapped[0] {
		t.Errorf("swap: %v, %v", swapped, err)
	}
}

func frame(t *testing.T, claimed uint64, value []byte) []byte {
	t.Helper()
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer encoder.Close()
	b := append(bytes.Clone(magic), zstandard)
	return encoder.EncodeAll(value, binary.AppendUvarint(b, claimed))
}

func TestABombIsAbsent(t *testing.T) {
	tier := newTier()
	var why error
	d := New(tier, Options{MaxSize: "1mb", Unreadable: func(_ string, err error) { why = err }})
	zeros := make([]byte, 100<<20)
	for name, bomb := range map[string][]byte{
		"honest": frame(t, 100<<20, zeros), "says less": frame(t, 1000, zeros), "says it just fits": frame(t, 1<<20, zeros),
		"says more": frame(t, 2000, zeros[:1000]),
	} {
		why = nil
		store(t, tier, "a", bomb)
		allocated := testing.Benchmark(func(b *testing.B) {
			for b.Loop() {
				if got := load(t, d, "a"); got != nil {
					t.Fatalf("%s: %d bytes", name, len(got))
				}
			}
		}).AllocedBytesPerOp()
		if allocated > 4<<20 || why == nil {
			t.Errorf("%s: %d bytes allocated, told %v", name, allocated, why)
		}
	}
	if err := d.SetMany(t.Context(), []drivers.Item{{Key: "a", Value: make([]byte, 1<<20+1)}}); !errors.Is(err, drivers.ErrRefused) {
		t.Errorf("a value that could not be read: %v", err)
	}
}

// What stored bytes claim is believed only as far as they can be trusted with: what a reader
// allocates is bounded by what was written, for one value and for a batch.
func TestAClaimIsNotBelievedBeyondWhatIsThere(t *testing.T) {
	tier := newTier()
	told := 0
	d := New(tier, Options{Unreadable: func(string, error) { told++ }})
	var keys []string
	sent := 0
	// Each claims the 128 MB of the default MaxSize.
	for i := range 100 {
		b := binary.AppendUvarint(append(bytes.Clone(magic), zstandard), 128<<20)
		b = append(b, '(')
		keys, sent = append(keys, fmt.Sprint("claim", i)), sent+len(b)
		store(t, tier, keys[i], b)
	}
	// A frame of blocks that repeat one byte: 4 bytes for 128 KB.
	bomb := append(bytes.Clone(magic), zstandard)
	bomb = binary.AppendUvarint(bomb, 128<<20)
	bomb = append(bomb, 0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38)
	for range 1024 {
		bomb = append(bomb, 0x02, 0x00, 0x10, 'x')
	}
	keys, sent = append(keys, "bomb"), sent+len(bomb)
	store(t, tier, "bomb", bomb)
	allocated := allocatedBy(func() {
		if _, err := d.GetMany(t.Context(), keys); err != nil {
			t.Fatal(err)
		}
	})
	if told != len(keys) || allocated > uint64(128*sent+len(keys)*8<<10) {
		t.Errorf("%d bytes in %d values: %d bytes were allocated, %d values unreadable", sent, len(keys), allocated, told)
	}
}

func allocatedBy(f func()) uint64 {
	var before, after goruntime.MemStats
	goruntime.ReadMemStats(&before)
	f()
	goruntime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// What compresses better than a reader believes is stored with a padding, and readable.
func TestWhatCompressesVeryWellIsReadable(t *testing.T) {
	d := New(newTier(), Options{})
	for _, size := range []int{1 << 10, 4 << 10, 5 << 10, 64 << 10, 1 << 20, 10<<20 + 1} {
		store(t, d, "a", make([]byte, size))
		if got := load(t, d, "a"); !bytes.Equal(got, make([]byte, size)) {
			t.Errorf("%d zeros come back as %d bytes", size, len(got))
		}
	}
	for size := range 70_000 { // around each rounding
		if n := len(pad(nil, size)); uint64(size) > mayHold(n) || n > 8+size/maxRatio {
			t.Fatalf("%d bytes of padding for a value of %d", n, size)
		}
	}
}

// A value as large as MaxSize is taken, so it has to be readable, also where MaxSize is
// below the smallest window of a frame.
func TestWhatIsTakenIsReadable(t *testing.T) {
	for limit, sizes := range map[string][]int{
		"600b": {500, 600}, "1kb": {1000, 1 << 10}, "1025b": {1025}, "2mb": {1500 << 10, 2 << 20}, "5mb": {5 << 20},
	} {
		for _, size := range sizes {
			var why error
			d := New(newTier(), Options{Threshold: 100, MaxSize: limit, Unreadable: func(_ string, err error) { why = err }})
			store(t, d, "a", text(size))
			if got := load(t, d, "a"); !bytes.Equal(got, text(size)) {
				t.Errorf("%d bytes with MaxSize %s: got %.40q, told %v", size, limit, got, why)
			}
		}
	}
}

func TestADamagedValueIsNotAnother(t *testing.T) {
	tier := newTier()
	d := New(tier, Options{Threshold: 1})
	value := text(3000)
	store(t, d, "a", value)
	whole := load(t, tier, "a")
	check := func(what string, damaged []byte) {
		store(t, tier, "a", damaged)
		got := load(t, d, "a")
		// Without its magic it is a value that was never compressed.
		if got != nil && !bytes.Equal(got, value) && !bytes.Equal(got, damaged) {
			t.Errorf("%s: got %.40q", what, got)
		}
	}
	for i := range whole {
		check(fmt.Sprintf("the first %d bytes", i), whole[:i])
		damaged := bytes.Clone(whole)
		damaged[i] ^= 0x10
		check(fmt.Sprintf("a bit flipped in byte %d", i), damaged)
	}
	check("unknown method", append(bytes.Clone(magic), 7, 1, 'x'))
}

func FuzzDecode(f *testing.F) {
	c, err := Options{Threshold: 1, MaxSize: "64kb"}.coding()
	if err != nil {
		f.Fatal(err)
	}
	for _, value := range [][]byte{nil, magic, text(10), text(1000), noise(100)} {
		stored, err := c.Encode("", value)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(stored)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if value, err := c.Decode("", data); err == nil && len(value) > max(64<<10, len(data)) {
			t.Errorf("%d bytes", len(value))
		}
		stored, err := c.Encode("", data)
		if err != nil {
			return
		}
		if value, err := c.Decode("", stored); err != nil || !bytes.Equal(value, data) {
			t.Errorf("%q comes back as %q, %v", data, value, err)
		}
	})
}

func TestOptionsAreChecked(t *testing.T) {
	for _, options := range []Options{{Threshold: -1}, {MaxSize: "plenty"}} {
		checker, _ := drivers.CheckerOf(New(newTier(), options))
		err := checker.Err()
		if err == nil || !strings.HasPrefix(err.Error(), "compress: ") {
			t.Errorf("%+v: error %v", options, err)
		}
	}
}
