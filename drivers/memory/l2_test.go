package memory

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/drivertest"
)

const everything = drivertest.Adds | drivertest.Swaps | drivertest.Leases | drivertest.Scans | drivertest.DeletesPrefixes | drivertest.Prunes

func openL2(t *testing.T, options L2Options) *L2 {
	t.Helper()
	d := NewL2(options)
	if err := d.Err(); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestL2Conformance(t *testing.T) {
	drivertest.L2(t, func(t *testing.T) drivers.L2 { return openL2(t, L2Options{MaxSize: "200mb"}) }, everything)
}

func setL2(t *testing.T, d *L2, key, value string, ttl time.Duration) {
	t.Helper()
	if err := d.SetMany(t.Context(), []drivers.Item{{Key: key, Value: []byte(value), TTL: ttl}}); err != nil {
		t.Fatal(err)
	}
}

// expectL2 checks what key has; "" stands for absent.
func expectL2(t *testing.T, d *L2, key, want string) {
	t.Helper()
	got, err := d.GetMany(t.Context(), []string{key})
	if err != nil {
		t.Fatal(err)
	}
	if (got[0] != nil) != (want != "") || string(got[0]) != want {
		t.Errorf("key %.40q has %.40q, want %.40q", key, got[0], want)
	}
}

func TestL2DropsWhatWasUsedLeastRecently(t *testing.T) {
	d := openL2(t, L2Options{MaxSize: "10kb"})
	value := strings.Repeat("x", 1<<10-itemOverhead-1)
	for i := range 10 {
		setL2(t, d, fmt.Sprint(i), value, 0)
	}
	expectL2(t, d, "0", value)
	setL2(t, d, "a", value, 0)
	expectL2(t, d, "0", value)
	expectL2(t, d, "1", "")
	expectL2(t, d, "2", value)
	setL2(t, d, "a", "small", 0)
	setL2(t, d, "b", "small", 0)
	if n := d.Len(); n != 11 {
		t.Errorf("%d items, want 11", n)
	}
	if d.size > d.budget {
		t.Errorf("%d bytes of %d", d.size, d.budget)
	}
	if err := d.DeleteMany(t.Context(), []string{"0", "2", "3", "4", "5", "6", "7", "8", "9", "a", "b"}); err != nil {
		t.Fatal(err)
	}
	if d.Len() != 0 || d.size != 0 {
		t.Errorf("empty: %d items, %d bytes", d.Len(), d.size)
	}
}

func TestL2RefusesWhatDoesNotFit(t *testing.T) {
	d := openL2(t, L2Options{MaxSize: "1kb"})
	setL2(t, d, "a", "old", 0)
	items := []drivers.Item{{Key: "b", Value: []byte("x")}, {Key: "a", Value: make([]byte, 1<<10)}}
	if err := d.SetMany(t.Context(), items); !errors.Is(err, drivers.ErrRefused) || !strings.HasPrefix(err.Error(), "memory: set 2 keys: ") {
		t.Errorf("error %v", err)
	}
	expectL2(t, d, "a", "old")
	expectL2(t, d, "b", "")
}

func TestL2LeasesThatHaveEndedDoNotPileUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := openL2(t, L2Options{})
		for i := range 10 * minSweep {
			if lent, err := d.LeaseMany(t.Context(), []string{fmt.Sprint(i)}, drivers.LeaseRequest{Token: "t", TTL: time.Second}); err != nil || !lent[0].Taken {
				t.Fatal(lent, err)
			}
			time.Sleep(time.Millisecond)
		}
		if n := len(d.leases); n > 3*minSweep {
			t.Errorf("%d leases are kept", n)
		}
	})
}

func TestL2UnusableOptionsAreReported(t *testing.T) {
	d := NewL2(L2Options{MaxSize: "plenty"})
	if d.Err() == nil || !strings.HasPrefix(d.Err().Error(), "memory: MaxSize") {
		t.Errorf("error %v", d.Err())
	}
	if err := d.SetMany(t.Context(), []drivers.Item{{Key: "a"}}); !errors.Is(err, drivers.ErrClosed) {
		t.Errorf("use of it: %v", err)
	}
}
