package processes

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/simulation/record"
	"github.com/cachegen/cachegen/runtime/internal/simulation/servers"
	"github.com/cachegen/cachegen/runtime/internal/simulation/steps"
)

// rows names the cache of the rows.
var rows = entry.Cache{Namespace: []string{"rows"}, Name: "rows"}

func keyOf(row int) string { return rows.KeyPrefix("") + strconv.Itoa(row) }

// groupTag is a tag that is known from the value of a row, rowTag from its key.
func groupTag(row int) runtime.Tag { return runtime.Tag("group:" + strconv.Itoa(record.Group(row))) }
func rowTag(row int) runtime.Tag   { return runtime.Tag("row:" + strconv.Itoa(row)) }

// namesOf returns the keys and the names of the stamps that an operation changes.
func namesOf(o *record.Op) (names []string) {
	row := o.Rows[0]
	switch o.Kind {
	case record.DeleteByGroup:
		return []string{entry.TagStamp(string(groupTag(row)))}
	case record.DeleteByRowTag, record.ExpireByTag:
		return []string{entry.TagStamp(string(rowTag(row)))}
	case record.Clear:
		return []string{rows.Stamp()}
	case record.Write, record.Transaction:
		return []string{keyOf(row), entry.TagStamp(string(rowTag(row)))}
	}
	for _, row := range o.Rows {
		names = append(names, keyOf(row))
	}
	return names
}

// load asks the database for rows, as a loader. It waits at the gate twice: before it reads
// the rows, and before it returns.
func (p *Process) load(ctx context.Context, wanted []int) (map[int]servers.Value, error) {
	w := p.world
	ld := &record.Load{
		Process: &p.Process, Op: opOf(ctx), Rows: slices.Sorted(slices.Values(wanted)), Found: make(map[int]int),
		Began: record.NotYet, Ended: record.NotYet,
	}
	c := &steps.Call{Party: &p.Party, At: steps.Database, Name: "loads " + record.RowsText(ld.Rows), Once: true}
	c.OnBegin = func() {
		ld.Began = w.Moment()
		w.Record.Loads = append(w.Record.Loads, ld)
	}
	c.OnEnd = func() { ld.Ended = w.Moment() }
	c.Effect = func(int, int) error {
		for _, row := range ld.Rows {
			ld.Found[row] = w.Versions[row]
		}
		return nil
	}
	c.Result = func() string {
		var texts []string
		for _, row := range slices.Sorted(maps.Keys(ld.Found)) {
			texts = append(texts, "version "+strconv.Itoa(ld.Found[row]))
		}
		return strings.Join(texts, ", ")
	}
	if ld.Err = w.Pass(ctx, c); ld.Err != nil {
		return nil, ld.Err
	}
	found := make(map[int]servers.Value)
	for row, version := range ld.Found {
		found[row] = servers.Value{Row: row, Version: version}
	}
	return found, nil
}

// commit commits the transaction of an operation. It waits at the gate as a loader does.
func (p *Process) commit(ctx context.Context, o *record.Op) error {
	c := &steps.Call{Party: &p.Party, At: steps.Database, Name: o.Name() + " commits", Once: true, Commits: true}
	c.Effect = func(int, int) error {
		w := p.world
		w.change(o)
		if w.HasOutbox {
			w.mu.Lock()
			defer w.mu.Unlock()
			o.Kept = w.Mutation != InvalidatesBeforeCommit
			w.Outbox.Commit(w.written[o].entries, w.written[o].wait)
		}
		return nil
	}
	return p.world.Pass(ctx, c)
}
