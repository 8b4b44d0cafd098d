package sqloutbox

import (
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

const (
	// maxStatement bounds the payloads of one statement that appends: servers refuse long ones.
	maxStatement = 8 * drivers.MaxOutboxPayload
	// maxIDs is how many entries one statement changes.
	maxIDs = 200
	// maxTries is how often Take looks for entries that nobody else takes at that moment.
	maxTries = 3
)

// blob returns b as a literal.
func (o *Outbox) blob(b []byte) string { return o.Hex[0] + hex.EncodeToString(b) + o.Hex[1] }

func (o *Outbox) ids(ids []drivers.OutboxID) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = o.blob(id[:])
	}
	return "(" + strings.Join(texts, ", ") + ")"
}

// later is an expression for a time.
func (o *Outbox) later(wait time.Duration) string {
	ms := max(wait, 0).Milliseconds()
	if wait > time.Duration(ms)*time.Millisecond {
		ms++
	}
	return o.Now + " + " + strconv.FormatInt(ms, 10)
}

// Append implements [drivers.Outbox].
func (o *Outbox) Append(ctx context.Context, exec drivers.Exec, entries []drivers.OutboxEntry, wait time.Duration) error {
	return o.base.Failed(ctx, "append", len(entries), o.append(ctx, exec, entries, wait))
}

func (o *Outbox) append(ctx context.Context, exec drivers.Exec, entries []drivers.OutboxEntry, wait time.Duration) error {
	if err := o.base.Usable(ctx); err != nil {
		return err
	}
	if err := check(entries); err != nil || len(entries) == 0 {
		return err
	}
	for len(entries) > 0 {
		n, size := 1, len(entries[0].Payload)
		for n < len(entries) && size+len(entries[n].Payload) <= maxStatement && n < maxIDs {
			size += len(entries[n].Payload)
			n++
		}
		if err := o.insert(ctx, exec, o.insertion(entries[:n], wait)); err != nil {
			return err
		}
		entries = entries[n:]
	}
	return nil
}

func check(entries []drivers.OutboxEntry) error {
	for _, e := range entries {
		switch {
		case e.Store == "" || len(e.Store) > drivers.MaxOutboxStore:
			return fmt.Errorf("%w: the name of a store has %d bytes, want 1 to %d", drivers.ErrRefused, len(e.Store), drivers.MaxOutboxStore)
		case len(e.Payload) > drivers.MaxOutboxPayload:
			return fmt.Errorf("%w: a payload has %d bytes, at most %d are allowed", drivers.ErrRefused, len(e.Payload), drivers.MaxOutboxPayload)
		}
	}
	return nil
}

func (o *Outbox) insertion(entries []drivers.OutboxEntry, wait time.Duration) string {
	var s strings.Builder
	fmt.Fprintf(&s, "INSERT INTO %s (%s) VALUES ", o.quoted, columns)
	for i, e := range entries {
		if i > 0 {
			s.WriteString(", ")
		}
		fmt.Fprintf(&s, "(%s, %s, %s, %s, 0, %s)", o.blob(e.ID[:]), o.blob([]byte(e.Store)), o.blob(e.Payload), o.later(wait), o.Now)
	}
	if o.options.Notify {
		s.WriteString(o.Tell(o.options.Table))
	}
	return s.String()
}

// Take implements [drivers.Outbox].
func (o *Outbox) Take(ctx context.Context, request drivers.OutboxRequest) ([]drivers.OutboxEntry, error) {
	request.Stores = slices.Clone(request.Stores)
	var taken []drivers.OutboxEntry // of f, which may go on after execute has returned an error
	err := o.base.Execute(ctx, "take", 0, func() (err error) {
		if request.Max < 1 || request.Hold <= 0 {
			return fmt.Errorf("%w: at most %d entries for %s; both must be positive", drivers.ErrRefused, request.Max, request.Hold)
		}
		if len(request.Stores) == 0 {
			return nil
		}
		taken, err = o.take(ctx, request)
		return err
	})
	if err != nil {
		return nil, err // what f has may still be written to
	}
	return taken, nil
}

// take tries again if others have taken all that it had found.
func (o *Outbox) take(ctx context.Context, request drivers.OutboxRequest) (taken []drivers.OutboxEntry, err error) {
	for range maxTries {
		found := false
		err := o.do(ctx, func(on session) (err error) {
			taken, found, err = o.takeOnce(ctx, on, request)
			return err
		})
		if err != nil || !found || len(taken) > 0 {
			return taken, err
		}
	}
	return nil, nil
}

func (o *Outbox) takeOnce(ctx context.Context, on session, request drivers.OutboxRequest) (taken []drivers.OutboxEntry, found bool, err error) {
	stores := make([]string, len(request.Stores))
	for i, store := range request.Stores {
		stores[i] = o.blob([]byte(store))
	}
	var ids []drivers.OutboxID
	text := fmt.Sprintf("SELECT id FROM %s WHERE store IN (%s) AND due <= %s ORDER BY due LIMIT %d%s",
		o.quoted, strings.Join(stores, ", "), o.Now, min(request.Max, maxIDs), o.SkipLocked)
	err = query(ctx, on, text, func(rows *sql.Rows) error {
		id, err := scanID(rows)
		ids = append(ids, id)
		return err
	})
	if err != nil || len(ids) == 0 {
		return nil, false, err
	}
	taken, err = o.hold(ctx, on, ids, request.Hold)
	return taken, true, err
}

// hold takes those of ids that are still due.
func (o *Outbox) hold(ctx context.Context, on session, ids []drivers.OutboxID, hold time.Duration) (taken []drivers.OutboxEntry, err error) {
	row := func(rows *sql.Rows) error {
		e, err := scanEntry(rows)
		taken = append(taken, e)
		return err
	}
	result := "id, store, payload, attempts, " + o.Now + " - created"
	set := fmt.Sprintf("UPDATE %s SET due = %s, attempts = attempts + 1", o.quoted, o.later(hold))
	due := fmt.Sprintf(" WHERE id IN %s AND due <= %s", o.ids(ids), o.Now)
	if !o.OnDuplicateKey {
		err = query(ctx, on, set+due+" RETURNING "+result, row)
	} else {
		// The rows stay locked between the two statements, so their mark is that of this call.
		mark := strconv.FormatInt(rand.Int64(), 10)
		if _, err = on.ExecContext(ctx, set+", mark = "+mark+due); err == nil {
			text := fmt.Sprintf("SELECT %s FROM %s WHERE id IN %s AND mark = %s", result, o.quoted, o.ids(ids), mark)
			err = query(ctx, on, text, row)
		}
	}
	if err != nil {
		return nil, err
	}
	// UPDATE has no order.
	slices.SortStableFunc(taken, func(a, b drivers.OutboxEntry) int { return int(min(max(b.Age-a.Age, -1), 1)) })
	return taken, nil
}

// Postpone implements [drivers.Outbox].
func (o *Outbox) Postpone(ctx context.Context, ids []drivers.OutboxID, wait time.Duration) error {
	return o.change(ctx, "postpone", ids, fmt.Sprintf("UPDATE %s SET due = %s", o.quoted, o.later(wait)))
}

// Remove implements [drivers.Outbox].
func (o *Outbox) Remove(ctx context.Context, ids []drivers.OutboxID) error {
	return o.change(ctx, "remove", ids, "DELETE FROM "+o.quoted)
}

// change does something with the rows of ids. Done twice, it does no more.
func (o *Outbox) change(ctx context.Context, operation string, ids []drivers.OutboxID, text string) error {
	ids = slices.Clone(ids)
	return o.base.Execute(ctx, operation, len(ids), func() error {
		for some := range slices.Chunk(ids, maxIDs) {
			err := o.do(ctx, func(on session) error {
				_, err := on.ExecContext(ctx, text+" WHERE id IN "+o.ids(some))
				return err
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func scanID(rows *sql.Rows) (id drivers.OutboxID, err error) {
	var raw sql.RawBytes
	if err := rows.Scan(&raw); err != nil {
		return id, err
	}
	return id, idOf(raw, &id)
}

func scanEntry(rows *sql.Rows) (e drivers.OutboxEntry, err error) {
	var id, store sql.RawBytes
	var payload []byte
	var age int64
	if err := rows.Scan(&id, &store, &payload, &e.Attempts, &age); err != nil {
		return e, err
	}
	e.Store, e.Payload, e.Age = string(store), payload, max(0, time.Duration(age)*time.Millisecond)
	return e, idOf(id, &e.ID)
}

func idOf(raw []byte, id *drivers.OutboxID) error {
	if copy(id[:], raw) != len(id) || len(raw) != len(id) {
		return fmt.Errorf("the table has an id of %d bytes, want %d", len(raw), len(id))
	}
	return nil
}
