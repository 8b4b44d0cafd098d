package teams

import (
	"context"
	"testing"

	"github.com/cachegen/cachegen/generated_test/internal/process"
)

// audits counts the loads of loadAudit.
var audits int

// loadAudit is annotated in a file of tests: what is generated for it belongs to
// the tests, too.
//
//cache:getorset audit:{teamID} namespace=audits ttl=1m
func loadAudit(_ context.Context, teamID int64) (string, error) {
	audits++
	return "fine", nil
}

// redoAudit makes the next read audit anew.
//
//cache:delete loadAudit(teamID)
func redoAudit(_ context.Context, teamID int64) error { return nil }

func TestAFunctionOfATestIsCachedForTheTest(t *testing.T) {
	stores := process.Alone(t)
	if err := BindTestCaches(stores); err != nil {
		t.Fatal(err)
	}
	ctx, before := t.Context(), audits
	for range 2 {
		if result, err := getOrSetAudit(ctx, 1); result != "fine" || err != nil {
			t.Fatal(result, err)
		}
	}
	if n := audits - before; n != 1 {
		t.Errorf("%d audits, want 1", n)
	}
	if err := cachedRedoAudit(ctx, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := getOrSetAudit(ctx, 1); err != nil {
		t.Fatal(err)
	}
	if n := audits - before; n != 2 {
		t.Errorf("%d audits after one was to be done again, want 2", n)
	}
}
