package nodes

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/cachegen/cachegen/runtime"
)

// A Value is what is cached of a row of the database: which version of it.
type Value struct {
	Row     int
	Version int
}

// group returns the group of a row, which is a tag of its value.
func group(row int) runtime.Tag { return runtime.Tag("group:" + strconv.Itoa(row%2)) }

// rowTag returns the tag that is known from the key of a row.
func rowTag(row int) runtime.Tag { return runtime.Tag("row:" + strconv.Itoa(row)) }

// A database has a version of each row, which each change makes larger.
type database struct{ versions []int }

// A loading is one call of a loader.
type loading struct {
	call  *call
	node  *node
	rows  []int
	began moment
	read  moment // when it has asked the database
	ended moment
	found map[int]Value
	err   error
	op    *op // of the client that has asked first
}

// errLoad is the failure of a loader.
type errLoad struct{ label string }

func (e *errLoad) Error() string { return "simulation: " + e.label + " fails" }

// load asks the database for rows, as a loader. It waits at the gate twice: before it reads
// the rows, and before it returns.
func (n *node) load(ctx context.Context, rows []int) (map[int]Value, error) {
	r := n.run
	rows = slices.Clone(rows)
	slices.Sort(rows)
	ld := &loading{node: n, rows: rows, found: make(map[int]Value), op: opOf(ctx), began: moment{never, never}, read: moment{never, never}, ended: moment{never, never}}
	c := &call{node: n, at: atDatabase, name: "loads " + texts(rows), once: true, loading: ld}
	ld.call = c
	c.effect = func(int, int) error {
		ld.read = r.moment()
		for _, row := range rows {
			ld.found[row] = Value{row, r.db.versions[row]}
		}
		return nil
	}
	c.result = func() string { return describeRows(ld.found) }
	err := r.pass(ctx, c)
	r.mu.Lock()
	defer r.mu.Unlock()
	ld.err = err
	if err != nil {
		return nil, err
	}
	return ld.found, nil
}

func describeRows(found map[int]Value) string {
	s := ""
	for _, row := range slices.Sorted(maps.Keys(found)) {
		s += fmt.Sprintf("version %d ", found[row].Version)
	}
	return strings.TrimSpace(s)
}
