// Package drivertest tests a driver against the contract of package drivers. The tests of
// every driver, of this project or of another, call the function for its role:
//
//	func TestConformance(t *testing.T) {
//		drivertest.L2(t, func(t *testing.T) drivers.L2 {
//			store := mystore.New(testAddress(t))
//			t.Cleanup(func() { store.Close() })
//			return store
//		}, drivertest.Adds|drivertest.Leases)
//	}
//
// The open function is called for each subtest, and again in a test that needs a second
// handle. Handles may share their data, and should if the driver shares data between
// processes: the tests use keys and channels that no other test uses, and the tests of
// concurrency use several handles.
//
// The capabilities of the store are found with the queries of package drivers, so a
// [drivers.Wrapper] is tested like any other driver. Each capability that the store has is
// tested, and the list is logged (go test -v). A driver's test names the capabilities that
// the store must have ([Adds] and the others), so that the test fails when one is lost.
// [Limits] are the documented limits of the store; the tests check that the store refuses
// what is beyond them.
//
// [L2Faults] and [BusFaults] run against a server that the test can stop and pause; package
// servers starts such servers.
//
// The first example is a complete driver in front of another one; the second is a driver
// from the ground up.
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

// Faults are functions that make the server of a driver fail and work again. If a function
// is nil, the tests that need it are left out.
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
