// Package drivertest tests a driver against all that package drivers promises of it. It is for
// the authors of drivers. The tests of a driver call the function of its role, [L1], [L2] or
// [Bus]:
//
//	func TestConformance(t *testing.T) {
//		drivertest.L2(t, func(t *testing.T) drivers.L2 {
//			store := mystore.New(testAddress(t))
//			t.Cleanup(func() { store.Close() })
//			return store
//		}, drivertest.Adds|drivertest.Leases)
//	}
//
// The function open makes a driver. It is called for each subtest, and again where a test
// needs a second driver. The drivers may share their data, and should if that is what the
// driver is for: tests of concurrency use several, like several processes. No two tests use
// the same key or channel.
//
// Which capabilities a shared tier has is found out with the functions of package drivers,
// such as [drivers.AdderOf]; so a [drivers.Wrapper] is tested like any other driver. Every
// capability that is found is tested, and go test -v prints the list. The test of a driver
// names the capabilities that the driver must have ([Adds] and the others), so that the test
// fails if one is lost. [Limits] say what the driver documents as its limits. The tests then
// check that what is beyond them is refused.
//
// [L2Faults], [BusFaults] and [L2LostAnswers] need a server that the test can stop and pause.
// Package servers starts such servers.
//
// The first example is a driver in front of another one; the second is a driver of its own.
package drivertest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"testing"
	"time"
)

// patience bounds every wait for an event that must happen. It is long because build
// machines are slow; only a test that fails waits that long.
const patience = 20 * time.Second

// Faults are the functions with which a test makes the server of a driver fail, and work
// again. If a function is nil, the tests that need it are left out.
type Faults struct {
	Stop    func() // every connection breaks, new ones are refused
	Restart func() // after Stop; the data may be lost
	Pause   func() // connections stay open, but the server does not answer
	Resume  func() // after Pause
}

// testContext returns a context with a deadline, so that a driver that hangs fails its test.
func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 6*patience) // some make thousands of calls
	t.Cleanup(cancel)
	return ctx
}

// unique returns a text that no other test uses, without characters that are wildcards in
// some driver.
func unique(name string) string { return name + "-" + rand.Text() }

// eventually waits until condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("%s: not within %s", what, patience)
		}
	}
}

// mustFail checks that err wraps want.
func mustFail(t *testing.T, operation string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: error %v, want one that wraps %q", operation, err, want)
	}
}

func must(t *testing.T, operation string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", operation, err)
	}
}

// mustEqual compares values; absent (nil) and empty are different. It prints large values
// shortened.
func mustEqual(t *testing.T, what string, got, want []byte) {
	t.Helper()
	if (got == nil) != (want == nil) || !bytes.Equal(got, want) {
		t.Errorf("%s: got %s, want %s", what, brief(got), brief(want))
	}
}

func brief[T string | []byte](b T) string {
	switch {
	case len(b) > 40:
		return fmt.Sprintf("%q… (%d bytes)", b[:40], len(b))
	case len(b) == 0 && isNil(b):
		return "absent"
	}
	return fmt.Sprintf("%q", b)
}

func isNil(b any) bool {
	data, ok := b.([]byte)
	return ok && data == nil
}
