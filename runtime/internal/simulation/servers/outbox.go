package servers

import (
	"slices"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

// An Outbox is the table of the outbox in the database. The zero Outbox is empty.
type Outbox struct{ rows []*row } // in the order in which they were committed

type row struct {
	drivers.OutboxEntry
	appended, due time.Time
}

// Len returns how many entries there are.
func (o *Outbox) Len() int { return len(o.rows) }

// Commit adds the entries of a transaction, which nobody takes until wait is over.
func (o *Outbox) Commit(entries []drivers.OutboxEntry, wait time.Duration) {
	for _, e := range entries {
		o.rows = append(o.rows, &row{e, time.Now(), time.Now().Add(wait)})
	}
}

// Take returns entries that are due, and holds them.
func (o *Outbox) Take(request drivers.OutboxRequest) (taken []drivers.OutboxEntry) {
	for _, r := range o.rows {
		if len(taken) < request.Max && !time.Now().Before(r.due) && slices.Contains(request.Stores, r.Store) {
			r.Attempts++
			r.Age, r.due = time.Since(r.appended), time.Now().Add(request.Hold)
			taken = append(taken, r.OutboxEntry)
		}
	}
	return taken
}

// Postpone makes entries due again after wait.
func (o *Outbox) Postpone(ids []drivers.OutboxID, wait time.Duration) {
	for _, r := range o.rows {
		if slices.Contains(ids, r.ID) {
			r.due = time.Now().Add(wait)
		}
	}
}

// Remove removes entries.
func (o *Outbox) Remove(ids []drivers.OutboxID) {
	o.rows = slices.DeleteFunc(o.rows, func(r *row) bool { return slices.Contains(ids, r.ID) })
}
