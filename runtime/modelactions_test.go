package runtime_test

import (
	"context"
	"errors"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/cachegen/cachegen/runtime"
)

// actions are what may happen next in a sequence.
func (s *sequence) actions() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"wait":         s.pass,
		"deadline":     s.passTo,
		"deadline ":    s.passTo,
		"deadline  ":   s.passTo,
		"get":          s.readOne,
		"getMany":      s.readMany,
		"getOrSet":     s.readOrLoad,
		"getOrSet ":    s.readOrLoad, // as often again
		"getOrSet  ":   s.readOrLoad,
		"getOrSet   ":  s.readOrLoad,
		"getOrSet    ": s.readOrLoad,
		"getOrSetMany": s.readOrLoadMany,
		"pull":         s.takeOut,
		"set":          s.put,
		"delete":       s.removeKeys,
		"expire":       s.expireKeys,
		"byTag":        s.byTag,
		"clear":        s.clear,
		"evict":        s.evict,
	}
}

func (s *sequence) draw(rt *rapid.T) (process, row int) {
	process = rapid.IntRange(0, len(s.stores)-1).Draw(rt, "process")
	if rapid.Bool().Draw(rt, "again") { // long stories are about one row
		return process, s.last
	}
	s.last = rapid.IntRange(0, sequenceRows-1).Draw(rt, "row")
	return process, s.last
}

// passTo waits for a moment at which something about a row is to change, or for the
// one before that.
func (s *sequence) passTo(rt *rapid.T) {
	var ends []time.Duration
	for _, place := range s.places() {
		if e := place[s.last]; e != nil {
			ends = append(ends, e.fresh, e.stale, e.due, e.again, e.retry)
		}
	}
	ends = slices.DeleteFunc(ends, func(end time.Duration) bool { return end <= s.now+1 || end > s.now+24*time.Hour })
	if len(ends) == 0 {
		rt.Skip("nothing is to change")
	}
	end := rapid.SampledFrom(ends).Draw(rt, "end")
	time.Sleep(end - s.now - time.Duration(rapid.IntRange(1, 2).Draw(rt, "before"))) // and settle takes one
	s.settle(rt)
	rt.Logf("%v", s.now)
}

func (s *sequence) pass(rt *rapid.T) {
	time.Sleep(rapid.SampledFrom([]time.Duration{1, 500 * time.Millisecond, time.Second, 3 * time.Second, 6 * time.Second, 2 * time.Minute}).Draw(rt, "time"))
	s.settle(rt)
}

func (s *sequence) readOne(rt *rapid.T) {
	p, row := s.draw(rt)
	rt.Logf("%v: process %d gets %d", s.now, p, row)
	value, there := s.get(p, row)
	switch c := s.cache(p, row); rapid.IntRange(0, 2).Draw(rt, "how") {
	case 0:
		if has, err := c.Has(rt.Context(), row); err != nil || has != there {
			rt.Fatalf("Has of row %d is %v, %v, want %v", row, has, err, there)
		}
	case 1:
		if missing, err := c.Missing(rt.Context(), row); err != nil || missing == there {
			rt.Fatalf("Missing of row %d is %v, %v, want %v", row, missing, err, !there)
		}
	default:
		if got, ok, err := c.Get(rt.Context(), row); err != nil || ok != there || got != value {
			rt.Fatalf("row %d: got %d, %v, %v, want %d, %v", row, got, ok, err, value, there)
		}
	}
	s.settle(rt)
}

// some draws rows of one cache.
func (s *sequence) some(rt *rapid.T) []int {
	if rapid.IntRange(0, 3).Draw(rt, "inner") == 0 {
		return []int{sequenceRows - 1}
	}
	return rapid.SliceOfNDistinct(rapid.IntRange(0, sequenceRows-2), 1, -1, rapid.ID[int]).Draw(rt, "rows")
}

func (s *sequence) readMany(rt *rapid.T) {
	p, _ := s.draw(rt)
	rows := s.some(rt)
	rt.Logf("%v: process %d gets %v", s.now, p, rows)
	found, err := s.cache(p, rows[0]).GetMany(rt.Context(), rows)
	if err != nil {
		rt.Fatal(err)
	}
	for _, row := range rows {
		value, there := s.get(p, row)
		if got, ok := found[row]; ok != there || got != value {
			rt.Fatalf("row %d: got %d, %v, want %d, %v", row, got, ok, value, there)
		}
	}
	s.settle(rt)
}

func (s *sequence) readOrLoad(rt *rapid.T) {
	p, row := s.draw(rt)
	c := s.drawCalls(rt)
	c.forced = rapid.IntRange(0, 7).Draw(rt, "forced") == 0
	rt.Logf("%v: process %d gets or sets %d, forced %v, %+v", s.now, p, row, c.forced, c)
	out, _ := s.getOrSet(p, row, c)
	value, err := s.cache(p, row).GetOrSet(rt.Context(), row, func(ctx context.Context) (int, error) { return s.ask(ctx, c, 1) }, c.options()...)
	s.same(rt, row, value, err, out)
	if took := time.Since(s.began); took != out.at {
		rt.Fatalf("row %d: returned at %v, want %v", row, took, out.at)
	}
	s.settle(rt)
}

func (s *sequence) readOrLoadMany(rt *rapid.T) {
	p, _ := s.draw(rt)
	rows := s.some(rt)
	if s.refresh > 0 { // a refresh behind begins when the caller has all its rows: not to be foreseen row by row
		rows = rows[:1]
	}
	c := s.drawCalls(rt)
	rt.Logf("%v: process %d gets or sets %v, %+v", s.now, p, rows, c)
	found, err := s.cache(p, rows[0]).GetOrSetMany(rt.Context(), rows, func(ctx context.Context, missing []int) (map[int]int, error) {
		value, err := s.ask(ctx, c, len(missing))
		if errors.Is(err, errNoRow) {
			return nil, nil
		}
		values := map[int]int{}
		for _, row := range missing {
			values[row] = value
		}
		return values, err
	}, c.options()...)
	failing := false
	for _, row := range rows {
		out, other := s.getOrSet(p, row, c)
		got, ok := found[row]
		failed := func(o outcome) bool { return o.late || o.failed != 0 }
		failing = failing || failed(out) && failed(other)
		switch {
		case ok:
			s.same(rt, row, got, nil, out, other)
		case out.nothing || other.nothing:
		default:
			s.same(rt, row, 0, err, out, other)
		}
	}
	if err != nil && !failing {
		rt.Fatalf("rows %v: %v, want no error", rows, err)
	}
	s.settle(rt)
}

func (s *sequence) takeOut(rt *rapid.T) {
	p, row := s.draw(rt)
	rt.Logf("%v: process %d pulls %d", s.now, p, row)
	value, there := s.pull(p, row)
	if got, ok, err := s.cache(p, row).Pull(rt.Context(), row); err != nil || ok != there || got != value {
		rt.Fatalf("row %d: got %d, %v, %v, want %d, %v", row, got, ok, err, value, there)
	}
	if there {
		s.remove(func(other int, _ *remembered) bool { return other == row })
	}
	s.settle(rt)
}

func (s *sequence) put(rt *rapid.T) {
	p, row := s.draw(rt)
	c := s.drawCalls(rt)
	rt.Logf("%v: process %d sets %d, %+v", s.now, p, row, c)
	s.set(p, row, c.number, c)
	if err := s.cache(p, row).Set(rt.Context(), row, c.number, c.options()...); err != nil {
		rt.Fatal(err)
	}
	s.settle(rt)
}

func (s *sequence) removeKeys(rt *rapid.T) {
	p, _ := s.draw(rt)
	rows := s.some(rt)
	rt.Logf("%v: process %d deletes %v", s.now, p, rows)
	s.remove(func(row int, _ *remembered) bool { return slices.Contains(rows, row) })
	if err := s.cache(p, rows[0]).DeleteMany(rt.Context(), rows...); err != nil {
		rt.Fatal(err)
	}
	s.settle(rt)
}

func (s *sequence) expireKeys(rt *rapid.T) {
	p, _ := s.draw(rt)
	rows := s.some(rt)
	rt.Logf("%v: process %d expires %v", s.now, p, rows)
	for _, row := range rows {
		s.age(row)
	}
	if err := s.cache(p, rows[0]).Expire(rt.Context(), rows...); err != nil {
		rt.Fatal(err)
	}
	s.settle(rt)
}

func (s *sequence) byTag(rt *rapid.T) {
	p, _ := s.draw(rt)
	tag := rapid.SampledFrom([]runtime.Tag{rowTag(0), rowTag(3), groupTag(0), groupTag(1), "call", "other"}).Draw(rt, "tag")
	has := func(_ int, e *remembered) bool { return slices.Contains(e.tags, tag) }
	var err error
	if rapid.Bool().Draw(rt, "expire") {
		s.expire(has)
		err = s.stores[p].ExpireByTag(rt.Context(), "another", tag)
	} else {
		s.remove(has)
		err = s.stores[p].DeleteByTag(rt.Context(), tag)
	}
	if err != nil {
		rt.Fatal(err)
	}
	s.settle(rt)
}

func (s *sequence) clear(rt *rapid.T) {
	p, row := s.draw(rt)
	inner := row == sequenceRows-1
	store := s.stores[p]
	var err error
	about := func(int, *remembered) bool { return true }
	switch rapid.IntRange(0, 3).Draw(rt, "how") {
	case 0:
		about = func(other int, _ *remembered) bool { return other == sequenceRows-1 == inner }
		err = s.cache(p, row).Clear(rt.Context())
	case 1:
		about = func(other int, _ *remembered) bool { return other == sequenceRows-1 }
		err = store.Namespace("rows").Namespace("inner").Clear(rt.Context())
	case 2:
		err = store.Namespace("rows").Clear(rt.Context())
	default:
		err = store.Clear(rt.Context())
	}
	if err != nil {
		rt.Fatal(err)
	}
	s.remove(about)
	s.settle(rt)
}

// evict loses a row in the shared tier.
func (s *sequence) evict(rt *rapid.T) {
	_, row := s.draw(rt)
	rt.Logf("%v: %d is evicted", s.now, row)
	key := "@rows:"
	if row == sequenceRows-1 {
		key = "@rows@inner:"
	}
	s.sharedTier.Evict(key + string(rune('0'+row)))
	delete(s.shared, row)
	s.settle(rt)
}
