package nodes

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/gen"
)

// A moment is an event of the run, by its number, and the time since the run began.
type moment struct {
	step int
	at   time.Duration
}

const never = math.MaxInt

func (m moment) before(n moment) bool { return m.step < n.step }

// An opKind is what a client does.
type opKind uint8

// The kinds. Those from set on change rows of the database first and then the cache.
const (
	get opKind = iota
	getOrSet
	getMany
	getOrSetMany
	forced
	set
	remove
	removeMany
	removeByRowTag
	removeByGroup
	expire
	expireByTag
	clearAll
	write
	transact
	shutDown
)

var opNames = [...]string{
	get: "Get", getOrSet: "GetOrSet", getMany: "GetMany", getOrSetMany: "GetOrSetMany", forced: "GetOrSet with ForceFresh",
	set: "Set", remove: "Delete", removeMany: "DeleteMany", removeByRowTag: "DeleteByTag of the row", removeByGroup: "DeleteByTag of the group",
	expire: "Expire", expireByTag: "ExpireByTag", clearAll: "Clear", write: "a write of Delete and DeleteByTag", transact: "a transaction",
	shutDown: "Close",
}

// changes reports whether the operation changes rows.
func (k opKind) changes() bool { return k >= set && k != shutDown }

// expires reports whether what it invalidates may still be a grace value.
func (k opKind) expires() bool { return k == expire || k == expireByTag }

// An op is one operation of a client: what it is, and what came of it.
type op struct {
	id      int
	kind    opKind
	machine int
	rows    []int

	node   *node
	began  moment
	ended  moment
	wrote  map[int]int         // the new versions of the rows that it has changed
	needs  map[int]int         // by row: once it has returned, no older version is to be read
	got    map[int]int         // by row: the version that was read
	told   map[*node][]telling // the messages that tell of it, by who is to hear them
	err    error
	failed []*loading // of loaders whose failure it may have got
	panic  any
	final  bool // it reads when everything works again
}

// A telling is a message to one process.
type telling struct {
	id    int
	heard bool
	step  int // when it has arrived
}

func (o *op) name() string { return "c" + strconv.Itoa(o.id) }

func (o *op) String() string {
	return fmt.Sprintf("%s: %s of %s", o.name(), opNames[o.kind], texts(o.rows))
}

// texts writes rows.
func texts(rows []int) string {
	s := "row"
	for _, row := range rows {
		s += " " + strconv.Itoa(row)
	}
	return s
}

type opKey struct{}

// opOf returns the operation for which a call is made, or nil.
func opOf(ctx context.Context) *op {
	o, _ := ctx.Value(opKey{}).(*op)
	return o
}

// begin begins an operation, on a goroutine of its own. One that changes rows changes them
// in the database first, as a program does.
func (r *run) begin(o *op, n *node) {
	o.node, o.began, o.ended = n, r.moment(), moment{never, never}
	o.got, o.told = make(map[int]int), make(map[*node][]telling)
	if o.kind.changes() && o.kind != transact {
		r.change(o)
	}
	n.busy++
	n.closing = n.closing || o.kind == shutDown
	r.ops = append(r.ops, o)
	go func() {
		defer func() {
			o.panic = recover()
			r.mu.Lock()
			defer r.mu.Unlock()
			r.done = append(r.done, o)
		}()
		o.err = o.do(context.WithValue(context.Background(), opKey{}, o))
	}()
}

// change changes the rows of an operation in the database.
func (r *run) change(o *op) {
	o.wrote, o.needs = make(map[int]int), make(map[int]int)
	changed := o.rows
	if o.kind != removeMany {
		changed = o.rows[:1]
	}
	for _, row := range changed {
		r.db.versions[row]++
		o.wrote[row] = r.db.versions[row]
	}
	for row := range r.db.versions {
		if o.reaches(row) {
			o.needs[row] = r.db.versions[row]
		}
	}
}

// reaches reports whether the operation invalidates a row.
func (o *op) reaches(row int) bool {
	switch o.kind {
	case clearAll:
		return true
	case removeByGroup:
		return group(row) == group(o.rows[0])
	case removeMany:
		for _, other := range o.rows {
			if other == row {
				return true
			}
		}
		return false
	}
	return row == o.rows[0]
}

// endOp notes that an operation has ended.
func (r *run) endOp(o *op) {
	o.ended = r.moment()
	o.node.busy--
	if o.kind == shutDown {
		r.leave(o.node)
	}
	r.note(o.node, "%v ends: %s", o, o.outcome())
}

func (o *op) outcome() string {
	switch {
	case o.panic != nil:
		return fmt.Sprintf("panic: %v", o.panic)
	case o.err != nil:
		return o.err.Error()
	case o.kind.changes():
		return "nil"
	}
	s := ""
	for _, row := range o.rows {
		if v, ok := o.got[row]; ok {
			s += fmt.Sprintf("version %d ", v)
		} else {
			s += "nothing "
		}
	}
	return s
}

// do carries the operation out.
func (o *op) do(ctx context.Context) error {
	c, s, row := o.node.cache, o.node.store, 0
	if len(o.rows) > 0 {
		row = o.rows[0]
	}
	load := func(ctx context.Context) (Value, error) {
		found, err := o.node.load(ctx, []int{row})
		return found[row], err
	}
	switch o.kind {
	case get:
		v, ok, err := c.Get(ctx, row)
		return o.read(map[int]Value{row: v}, ok, err)
	case getOrSet:
		v, err := c.GetOrSet(ctx, row, load)
		return o.read(map[int]Value{row: v}, err == nil, err)
	case forced:
		v, err := c.GetOrSet(ctx, row, load, runtime.ForceFresh())
		return o.read(map[int]Value{row: v}, err == nil, err)
	case getMany:
		found, err := c.GetMany(ctx, o.rows)
		return o.read(found, true, err)
	case getOrSetMany:
		found, err := c.GetOrSetMany(ctx, o.rows, o.node.load)
		return o.read(found, true, err)
	case set:
		return c.Set(ctx, row, Value{row, o.wrote[row]})
	case remove:
		return c.Delete(ctx, row)
	case removeMany:
		return c.DeleteMany(ctx, o.rows...)
	case removeByRowTag:
		return s.DeleteByTag(ctx, rowTag(row))
	case removeByGroup:
		return s.DeleteByTag(ctx, group(row))
	case expire:
		return c.Expire(ctx, row)
	case expireByTag:
		return s.ExpireByTag(ctx, rowTag(row))
	case clearAll:
		return c.Clear(ctx)
	case write:
		return gen.Write(ctx, gen.Writer{Function: "nodes.Write"}, gen.Delete(c, row), gen.DeleteByTag(c, rowTag(row)))
	case transact:
		return o.transact(ctx)
	case shutDown:
		ctx, cancel := context.WithTimeout(ctx, closeTime)
		defer cancel()
		return s.Close(ctx)
	}
	return errors.New("simulation: no such operation")
}

// read notes what a client has read.
func (o *op) read(found map[int]Value, ok bool, err error) error {
	if ok {
		for row, v := range found {
			o.got[row] = v.Version
		}
	}
	return err
}
