// Package drivertest is the contract of package drivers as tests. A driver,
// whoever wrote it, runs what belongs to its role:
//
//	func TestConformance(t *testing.T) {
//		drivertest.L2(t, func(t *testing.T) drivers.L2 {
//			store := mystore.New(testAddress(t))
//			t.Cleanup(func() { store.Close() })
//			return store
//		}, drivertest.Adds|drivertest.Leases)
//	}
//
// The open function is called for each subtest, and again where a test wants a
// second handle. What it returns may share its data with what it returned before,
// and should where the driver's purpose is to share: the tests choose keys and
// channels that nobody else uses, and tests of concurrency then run through
// several handles.
//
// Each capability that the store has is tested, and the list is logged (go test
// -v). A driver's test names the ones that must be there ([Adds] and the others),
// so that it fails when one gets lost. [Limits] say what the store is documented
// not to take; that it refuses what is beyond them is tested too.
//
// [L2Faults] and [BusFaults] run against a server that the test can stop and
// pause; package servers starts some.
//
// The first example is a whole driver of a third party in twenty lines, on top of
// another; the second is one from the ground up.
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

// patience bounds every wait for something that must happen. It is long because
// build machines are slow; no test waits for all of it unless it fails.
const patience = 20 * time.Second

// Faults breaks the server behind a driver and mends it. Nil functions are faults
// that the server cannot have; what needs them is left out.
type Faults struct {
	Stop    func() // every connection breaks, new ones are refused
	Restart func() // after Stop; the data may be gone
	Pause   func() // connections stay open, nothing is answered
	Resume  func() // after Pause
}

// testContext ends some time, so that a driver that hangs fails its test.
func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 6*patience) // some make thousands of calls
	t.Cleanup(cancel)
	return ctx
}

// unique returns a text that no other test uses, and that is no pattern or
// wildcard anywhere.
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

// mustFail checks an error that must wrap want.
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

// mustEqual tells absent (nil) and empty apart, and does not print megabytes.
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
