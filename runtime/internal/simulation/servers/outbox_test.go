package servers

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

func TestAnEntryOfTheOutboxIsHeldByOneAndThereUntilItIsRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o Outbox
		id := drivers.OutboxID{1}
		want := drivers.OutboxRequest{Stores: []string{"s"}, Max: 5, Hold: time.Minute}
		o.Commit([]drivers.OutboxEntry{{ID: id, Store: "s"}, {ID: drivers.OutboxID{2}, Store: "other"}}, time.Second)
		if got := o.Take(want); len(got) != 0 {
			t.Fatalf("%v, before it is due", got)
		}
		for attempt, wait := range []time.Duration{time.Second, time.Minute, time.Hour} {
			time.Sleep(wait)
			if got := o.Take(want); len(got) != 1 || got[0].ID != id || got[0].Attempts != attempt+1 {
				t.Fatalf("%v after %v", got, wait)
			}
			if got := o.Take(want); len(got) != 0 {
				t.Fatalf("%v, which somebody holds", got)
			}
			if attempt == 1 {
				o.Postpone([]drivers.OutboxID{id}, time.Hour)
			}
		}
		if o.Remove([]drivers.OutboxID{id}); o.Len() != 1 {
			t.Errorf("%d entries", o.Len())
		}
	})
}
