package dynamodb

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

// A process whose clock is an hour off, or is set while it loads, may make others load, but
// nobody may store what was loaded before a change, nor hold up the others.
func TestLeasesUnderClocksThatDiffer(t *testing.T) {
	const ttl = time.Minute
	eachServer(t, func(t *testing.T, url string) {
		openTable(t, url, Options{})
		ctx := t.Context()
		at := func(offset time.Duration) *Driver {
			d := New(dial(t, url), Options{})
			d.now = func() time.Time { return time.Now().Add(offset) }
			return d
		}
		ask := func(d *Driver, key, token string) drivers.Lease {
			t.Helper()
			got, err := d.LeaseMany(ctx, []string{key}, drivers.LeaseRequest{Token: token, TTL: ttl, Await: true})
			if err != nil {
				t.Fatal(err)
			}
			return got[0]
		}
		fill := func(d *Driver, key, token string) bool {
			t.Helper()
			got, err := d.FillMany(ctx, []drivers.Item{{Key: key, Value: []byte(token)}}, token)
			if err != nil {
				t.Fatal(err)
			}
			return got[0].Stored
		}
		right := at(0)
		for _, offset := range []time.Duration{-time.Hour, -ttl / 2, 0, ttl / 2, time.Hour} {
			wrong := at(offset)
			key := fmt.Sprint("skew", offset)
			if !ask(wrong, key, "t1").Taken {
				t.Errorf("%s: a free lease is not taken", offset)
			}
			got := ask(right, key, "t2")
			if differ := offset.Abs() > ttl; got.Taken != differ {
				t.Errorf("%s: another takes the lease at once: %v", offset, got.Taken)
			}
			if got.Left > 2*ttl {
				t.Errorf("%s: others have to wait for %s", offset, got.Left)
			}
			if got.Taken && fill(wrong, key, "t1") {
				t.Errorf("%s: two have had the lease at a time, and both could fill", offset)
			}

			// The holder has ended: at the latest after twice its time, by the clock of who asks.
			key += "dead"
			ask(wrong, key, "t1")
			if !ask(at(2*ttl), key, "t2").Taken {
				t.Errorf("%s: one that has ended holds up the others", offset)
			}

			// race R44: under any clock.
			key += "changed"
			ask(wrong, key, "t1")
			if err := right.DeleteMany(ctx, []string{key}); err != nil {
				t.Fatal(err)
			}
			if fill(wrong, key, "t1") {
				t.Errorf("%s: what was loaded before a deletion is stored after it", offset)
			}
		}
		// The clock is set in the midst of a load.
		for _, step := range []time.Duration{-time.Hour, time.Hour} {
			d := at(0)
			key := fmt.Sprint("step", step)
			ask(d, key, "t1")
			d.now = func() time.Time { return time.Now().Add(step) }
			renewed, err := d.RenewMany(ctx, []string{key}, "t1", ttl)
			if err != nil {
				t.Fatal(err)
			}
			if back := step < 0; renewed[0] != back || fill(d, key, "t1") != back {
				t.Errorf("after a step of %s: renewed %v", step, renewed[0])
			}
			if got := ask(d, key, "t2"); !got.Taken {
				t.Errorf("after a step of %s: another does not get the lease: %+v", step, got)
			}
		}
	})
}

// DynamoDB tells the item with the failure of a condition, so that who waits sends one request,
// and one more if it is the first.
func TestWhoWaitsForALeaseSendsFewRequests(t *testing.T) {
	const failed = `{"__type":"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException","message":"no","Item":{"key":{"B":"AGE="}%s}}`
	for name, c := range map[string]struct {
		item                 string // attributes of the item that is stored
		want                 drivers.LeaseRequest
		updates              int
		holder, value        string
		noteFails, takenThen bool
	}{
		"Lent":                   {`,"lease":{"B":"dDE="},"lease_until":{"N":"%d"}`, drivers.LeaseRequest{}, 1, "t1", "", false, false},
		"Awaited":                {`,"lease":{"B":"dDE="},"lease_until":{"N":"%d"}`, drivers.LeaseRequest{Await: true}, 2, "t1", "", false, false},
		"AwaitedBefore":          {`,"lease":{"B":"dDE="},"lease_until":{"N":"%d"},"lease_awaited":{"BOOL":true}`, drivers.LeaseRequest{Await: true}, 1, "t1", "", false, false},
		"Value":                  {`,"value":{"B":"b2xk"},"expires":{"N":"%d"}`, drivers.LeaseRequest{IfAbsent: true, Await: true}, 1, "", "old", false, false},
		"EndedBeforeItWasNoted":  {`,"lease":{"B":"dDE="},"lease_until":{"N":"%d"}`, drivers.LeaseRequest{Await: true}, 3, "", "", true, true},
		"LentAndAwaitedByNobody": {`,"lease":{"B":"dDE="},"lease_until":{"N":"%d"},"lease_awaited":{"BOOL":false}`, drivers.LeaseRequest{}, 1, "t1", "", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := &wire{}
			w.answer = func(string, *http.Request, []byte) (*http.Response, error) {
				switch n := w.requests("UpdateItem"); {
				case n == 1:
					return respond(http.StatusBadRequest, fmt.Sprintf(failed, fmt.Sprintf(c.item, time.Now().Add(time.Hour).UnixMilli())))
				case n == 2 && c.noteFails:
					return respond(http.StatusBadRequest, fmt.Sprintf(failed, ""))
				}
				return respond(http.StatusOK, "{}")
			}
			c.want.Token, c.want.TTL = "t2", time.Hour
			got, err := through(w, "http://table.test").LeaseMany(t.Context(), []string{"a"}, c.want)
			if err != nil || got[0].Taken != c.takenThen || got[0].Holder != c.holder || string(got[0].Value) != c.value {
				t.Errorf("%+v, %v", got, err)
			}
			if w.requests("UpdateItem") != c.updates || w.requests("GetItem") != 0 {
				t.Errorf("%d updates, %d reads", w.requests("UpdateItem"), w.requests("GetItem"))
			}
		})
	}
}
