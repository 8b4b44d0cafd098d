package drivertest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

// everyByte returns a text of all 256 bytes.
func everyByte() string {
	var all [256]byte
	for b := range all {
		all[b] = byte(b)
	}
	return string(all[:])
}

// awkwardNames returns keys that differ byte by byte, but are equal, or patterns of each
// other, for a store that does not compare bytes. Together with the prefix they are within
// the store's limit.
func (s l2) awkwardNames() []string {
	all := everyByte()
	names := []string{
		"a", "A", "a ", "a  ", " a", "a\t", "a\x00", "a\x00b", "\x00", "ä", "Ä", "a\u0308", "ß", "ss", "\xff", "\xff\xfe", "\xc3",
		"%", "_", "%%", "a%", "a_", "*", "?", "a*", "a?", "[a]", "[a-z]", "[^a]", "[", "]", "^", `\`, `\\`, `\*`, `a\`,
		`'`, `"`, "`", "''", "--", ";", "$1", "?1", ":a", "@a",
		"{", "}", "{}", "{}a", "{x}", "{x}y", "{x", "x}", "x}y", "}{", "{{x}}", "{{x}}y", "a{x}b{y}", "a{}b{y}",
		"a:b", "a/b", "../a", "..", ".", "a.", "CON", "nul.txt", "1", "01", "1.0", all, all[:128], all[128:], "\r\n", "\n",
	}
	return slices.DeleteFunc(names, func(name string) bool { return len(s.prefix)+len(name) > s.limit.longest() })
}

func l2Keys(t *testing.T, s l2) {
	longest := s.limit.longest()
	keys := []string{strings.Repeat("k", longest), strings.Repeat("k", longest-1), strings.Repeat("k", longest-1) + "K"}
	for _, name := range s.awkwardNames() {
		keys = append(keys, s.key(name), name+s.prefix)
	}
	if !s.limit.NoEmptyKey {
		// This key and the longest ones are the only keys that other tests also use.
		keys = append(keys, "")
	}
	s.delete(keys...)
	for i, key := range keys {
		s.expect(key, nil)
		s.set(drivers.Item{Key: key, Value: fmt.Append(nil, i), TTL: time.Hour})
	}
	for i, got := range s.get(keys...) {
		mustEqual(t, "key "+brief(keys[i]), got, fmt.Append(nil, i))
	}
	for i, key := range keys {
		s.delete(key)
		s.expect(key, nil)
		if i+1 < len(keys) {
			s.expect(keys[i+1], fmt.Append(nil, i+1))
		}
	}
}

func l2Values(t *testing.T, s l2) {
	for i, value := range []string{everyByte(), "\x00", "\xff\xfe", "a\x00b", "a ", "12", "null", "'\"\r\n", `\x00`, "\x1f\x8b"} {
		key := s.key(fmt.Sprint(i))
		s.set(drivers.Item{Key: key, Value: []byte(value)})
		s.expect(key, []byte(value))
	}
}

// l2Large has a longer timeout than the other tests.
func l2Large(t *testing.T, s l2) {
	ctx, cancel := context.WithTimeout(t.Context(), 6*patience)
	defer cancel()
	s.ctx = ctx
	size := s.limit.largest()
	value := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
	s.set(drivers.Item{Key: s.key("large"), Value: value}, drivers.Item{Key: s.key("small"), Value: []byte("x")})
	got := s.get(s.key("small"), s.key("large"))
	mustEqual(t, "the small value", got[0], []byte("x"))
	mustEqual(t, "the large value", got[1], value)
	s.set(drivers.Item{Key: s.key("large"), Value: []byte("y")})
	s.expect(s.key("large"), []byte("y"))
}

// writes returns every operation that can store items.
func (s l2) writes(items ...drivers.Item) map[string]func(context.Context) error {
	all := map[string]func(context.Context) error{
		"SetMany": func(ctx context.Context) error { return s.SetMany(ctx, items) },
	}
	if a, ok := drivers.AdderOf(s.L2); ok {
		all["AddMany"] = func(ctx context.Context) error { _, err := a.AddMany(ctx, items); return err }
	}
	if w, ok := drivers.SwapperOf(s.L2); ok {
		all["SwapMany"] = func(ctx context.Context) error {
			swaps := make([]drivers.Swap, len(items))
			for i, it := range items {
				swaps[i] = drivers.Swap{Key: it.Key, New: append([]byte{}, it.Value...), TTL: it.TTL}
			}
			_, err := w.SwapMany(ctx, swaps)
			return err
		}
	}
	if l, ok := drivers.LeaserOf(s.L2); ok {
		all["FillMany"] = func(ctx context.Context) error { _, err := l.FillMany(ctx, items, "token"); return err }
	}
	return all
}

func (s l2) refuses(what string, items ...drivers.Item) {
	s.t.Helper()
	for name, write := range s.writes(items...) {
		mustFail(s.t, name+" of "+what, write(s.ctx), drivers.ErrRefused)
	}
}

// refusedBatch: a call that is refused stores nothing, whichever of its items is the reason.
func refusedBatch(t *testing.T, s l2) {
	good := drivers.Item{Key: s.key("good"), Value: []byte("x")}
	bad := map[string]drivers.Item{"a negative TTL": {Key: s.key("bad"), TTL: -1}}
	if s.limit.NoEmptyKey {
		bad["an empty key"] = drivers.Item{}
	}
	if s.limit.MaxKey > 0 {
		bad["a key that is too long"] = drivers.Item{Key: strings.Repeat("k", s.limit.MaxKey+1)}
	}
	if s.limit.MaxValue > 0 {
		bad["a value that is too large"] = drivers.Item{Key: s.key("bad"), Value: make([]byte, s.limit.MaxValue+1)}
	}
	if l, ok := drivers.LeaserOf(s.L2); ok {
		_, err := l.LeaseMany(s.ctx, []string{good.Key}, drivers.LeaseRequest{Token: "token", TTL: time.Hour})
		must(t, "LeaseMany", err)
	}
	for what, item := range bad {
		s.refuses("a batch with "+what, good, item)
		s.refuses("a batch with "+what, item, good)
		s.expect(good.Key, nil)
	}
}

func refusedTTL(t *testing.T, s l2) {
	s.refuses("a negative TTL", drivers.Item{Key: s.key("a"), Value: []byte("x"), TTL: -1})
	s.expect(s.key("a"), nil)
}

func refusedKey(t *testing.T, s l2) {
	if s.limit.NoEmptyKey {
		s.refuses("an empty key", drivers.Item{Value: []byte("x")})
	}
	if s.limit.MaxKey > 0 {
		s.refuses("a key that is too long", drivers.Item{Key: strings.Repeat("k", s.limit.MaxKey+1), Value: []byte("x")})
	}
}

// refusedValue: a refused write does not change the stored value.
func refusedValue(t *testing.T, s l2) {
	s.set(drivers.Item{Key: s.key("a"), Value: []byte("old")})
	s.refuses("a value that is too large", drivers.Item{Key: s.key("a"), Value: make([]byte, s.limit.MaxValue+1)})
	s.refuses("a value of 64 MB", drivers.Item{Key: s.key("a"), Value: make([]byte, max(s.limit.MaxValue+1, 64<<20))})
	s.expect(s.key("a"), []byte("old"))
}

// l2Errors: a log must show which store failed in which operation.
func l2Errors(t *testing.T, s l2) {
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	s.mustBeNamed(ctx, "with an ended context", s.operations())
	must(t, "Close", s.Close())
	s.mustBeNamed(s.ctx, "after Close", s.operations())
}

// mustBeNamed checks that each of some operations fails, with an error that names the store and
// the operation.
func (s l2) mustBeNamed(ctx context.Context, when string, operations map[string]operation) {
	s.t.Helper()
	store := ""
	for name, operation := range operations {
		err := operation.run(ctx)
		if err == nil {
			s.t.Errorf("%s %s: no error", name, when)
			continue
		}
		driver, rest, found := strings.Cut(err.Error(), ":")
		if !found || driver == "" || strings.ContainsAny(driver, " \n") {
			s.t.Errorf("%s %s: error %q, want the driver's name and a colon first", name, when, err)
		}
		if store == "" {
			store = driver
		}
		if driver != store {
			s.t.Errorf("%s %s: the error begins with %q, that of another operation with %q", name, when, driver, store)
		}
		if !strings.Contains(rest, operation.verb) {
			s.t.Errorf("%s %s: error %q does not name the operation with the word %q", name, when, err, operation.verb)
		}
	}
}
