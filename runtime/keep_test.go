package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	goruntime "runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/memory"
	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

// heldBy returns how much more memory is in use after f than before.
func heldBy(f func()) int64 {
	var before, after goruntime.MemStats
	goruntime.GC()
	goruntime.ReadMemStats(&before)
	f()
	goruntime.GC()
	goruntime.ReadMemStats(&after)
	return int64(after.HeapAlloc) - int64(before.HeapAlloc)
}

type piece struct {
	Text   string
	Bytes  []byte
	List   []string
	Table  map[string]*string
	Number *int
}

// A hiding refers by an unexported field to what reflection does not copy.
type hiding struct{ text *string }

func (h hiding) MarshalBinary() ([]byte, error) { return []byte(*h.text), nil }

func (h *hiding) UnmarshalBinary(b []byte) error {
	text := string(b)
	h.text = &text
	return nil
}

// pieceOf returns a small value that refers to small parts of large things.
func pieceOf(size int) *piece {
	text := strings.Repeat("x", size)
	list := make([]string, 1, size/16)
	list[0] = text[1:3]
	part, numbers := text[3:5], make([]int, size/8)
	return &piece{
		Text: text[:5], Bytes: []byte(text)[:3], List: list, Table: map[string]*string{text[6:8]: &part}, Number: &numbers[7],
	}
}

// What memory keeps owns all that it refers to, and its size is what it holds: a small part
// of something large does not keep the large thing.
func TestMemoryKeepsNothingLargerThanItsValues(t *testing.T) {
	const entries, size = 300, 100 << 10
	rounds := func(t *testing.T, keep func(i int) error) {
		t.Helper()
		held := heldBy(func() {
			for i := range entries {
				if err := keep(i); err != nil {
					t.Fatal(err)
				}
			}
		})
		if held > entries*8<<10 {
			t.Errorf("%d entries of less than a kilobyte hold %d kB", entries, held>>10)
		}
	}
	text := func() string { return strings.Repeat("x", size)[:5] }
	tier := func() runtime.StoreOption { return runtime.L1(memory.New(memory.Options{MaxSize: "20mb"})) }
	t.Run("loaded", func(t *testing.T) {
		c := newCache[int, string](t, newStore(t, tier()))
		rounds(t, func(i int) error { _, err := c.GetOrSet(t.Context(), i, constant(text())); return err })
	})
	t.Run("parts", func(t *testing.T) {
		c := newCache[int, *piece](t, newStore(t, tier()))
		rounds(t, func(i int) error { _, err := c.GetOrSet(t.Context(), i, constant(pieceOf(size))); return err })
		got, ok, err := c.Get(t.Context(), 1)
		if err != nil || !ok || fmt.Sprintf("%v %s %v %v %v", got.Text, got.Bytes, got.List, *got.Table["xx"], *got.Number) != "xxxxx xxx [xx] xx 0" {
			t.Errorf("got %+v, %v, %v", got, ok, err)
		}
	})
	t.Run("hidden", func(t *testing.T) {
		c := newCache[int, []*hiding](t, newStore(t, tier()))
		rounds(t, func(i int) error {
			_, err := c.GetOrSet(t.Context(), i, func(context.Context) ([]*hiding, error) {
				part := text()
				return []*hiding{{&part}}, nil
			})
			return err
		})
		if got, ok, err := c.Get(t.Context(), 1); err != nil || !ok || *got[0].text != "xxxxx" {
			t.Errorf("got %+v, %v, %v", got, ok, err)
		}
	})
	t.Run("set", func(t *testing.T) {
		c := newCache[int, *piece](t, newStore(t, tier()))
		rounds(t, func(i int) error { return c.Set(t.Context(), i, pieceOf(size)) })
	})
	t.Run("several", func(t *testing.T) {
		c := newCache[int, string](t, newStore(t, tier()))
		rounds(t, func(i int) error {
			_, err := c.GetOrSetMany(t.Context(), []int{i}, func(context.Context, []int) (map[int]string, error) { return map[int]string{i: text()}, nil })
			return err
		})
	})
	t.Run("shared by callers", func(t *testing.T) {
		c := openIn(t, definition[int, *piece]{Name: "pieces", Shared: true}, tier())
		rounds(t, func(i int) error { _, err := c.GetOrSet(t.Context(), i, constant(pieceOf(size))); return err })
	})
	t.Run("keys and tags", func(t *testing.T) {
		c := newCache[string, string](t, newStore(t, tier()))
		rounds(t, func(i int) error {
			_, err := c.GetOrSet(t.Context(), fmt.Sprint(i, strings.Repeat("x", size))[:6], func(ctx context.Context) (string, error) {
				runtime.EntryOf(ctx).SetTags(runtime.Tag(strings.Repeat("t", size)[:4]))
				return "", nil
			})
			return err
		})
	})
	t.Run("read by a codec that keeps its bytes", func(t *testing.T) {
		mayTell(t, "")
		var shared faketier.Shared
		large := runtime.WithCodec(lazyCodec{size})
		writer := newCache[int, []byte](t, newStore(t, runtime.L2(&shared), large))
		reader := newCache[int, []byte](t, newStore(t, tier(), runtime.L2(&shared), large))
		for i := range entries {
			if err := writer.Set(t.Context(), i, []byte("abc")); err != nil {
				t.Fatal(err)
			}
		}
		rounds(t, func(i int) error { _, _, err := reader.Get(t.Context(), i); return err })
	})
}

// A lazyCodec writes more than it needs, and returns a part of what it is given.
type lazyCodec struct{ size int }

func (c lazyCodec) Marshal(v any) ([]byte, error) {
	return append(*v.(*[]byte), make([]byte, c.size)...), nil
}

func (lazyCodec) Unmarshal(data []byte, v any) error { *v.(*[]byte) = data[:3]; return nil }

// The budget of the memory tier is for all that entries hold: their tags, too.
func TestTagsCountInTheBudget(t *testing.T) {
	const entries, size = 1000, 100 << 10
	c := newCache[int, int](t, newStore(t, runtime.L1(memory.New(memory.Options{MaxSize: "5mb"}))))
	for name, keep := range map[string]func(i int, tag string) error{
		"given": func(i int, tag string) error {
			_, err := c.GetOrSet(t.Context(), i, constant(i), runtime.Tags(runtime.Tag(tag)))
			return err
		},
		"set by the loader": func(i int, tag string) error {
			_, err := c.GetOrSet(t.Context(), i, func(ctx context.Context) (int, error) { runtime.EntryOf(ctx).SetTags(runtime.Tag(tag)); return i, nil })
			return err
		},
		"of Set": func(i int, tag string) error { return c.Set(t.Context(), i, i, runtime.Tags(runtime.Tag(tag))) },
	} {
		held := heldBy(func() {
			for i := range entries {
				if err := keep(i, fmt.Sprint(name, i, strings.Repeat("t", size))); err != nil {
					t.Fatal(err)
				}
			}
			goruntime.GC() // what is no longer referred to is forgotten after a collection
			time.Sleep(10 * time.Millisecond)
		})
		if held > 12<<20 {
			t.Errorf("%s: in a tier of 5 MB, %d entries with a tag of 100 kB each hold %d MB", name, entries, held>>20)
		}
	}
}

// Failures that are remembered in place of values have a bound, too.
func TestRememberedFailuresHoldABoundedMemory(t *testing.T) {
	c := newCache[int, int](t, newStore(t, memoryTier()), runtime.ErrorTTL(time.Hour))
	held := heldBy(func() {
		for i := range 1000 {
			_, _ = c.GetOrSet(t.Context(), i, func(context.Context) (int, error) { return 0, errors.New(strings.Repeat("e", 100<<10)) })
		}
	})
	if held > 24<<20 {
		t.Errorf("1000 failures of 100 kB hold %d MB", held>>20)
	}
}

// A refusals counts what a store tells of values that it does not keep.
type refusals struct {
	events atomic.Int64
	last   atomic.Pointer[event.Refusal]
	stored atomic.Int64
	lines  strings.Builder
}

func (r *refusals) options() runtime.StoreOption {
	return runtime.All(runtime.Logger(slog.New(slog.NewTextHandler(io.Writer(&r.lines), nil))), runtime.Hooks(event.Hooks{
		Refused: func(e event.Refusal) { r.events.Add(1); r.last.Store(&e) },
		Written: func(event.Write) { r.stored.Add(1) },
	}))
}

// A value that no tier keeps is loaded each time. Somebody is told: the log once, the hooks
// each time, and who calls Set.
func TestAValueThatIsTooLargeIsTold(t *testing.T) {
	large := strings.Repeat("x", 2<<20)
	tier := func() runtime.StoreOption { return runtime.L1(memory.New(memory.Options{MaxSize: "1mb"})) }
	for name, test := range map[string]struct {
		options []runtime.StoreOption
		kept    bool // by the shared tier
	}{
		"memory":         {[]runtime.StoreOption{tier()}, false},
		"memory, shared": {[]runtime.StoreOption{tier(), runtime.L2(&faketier.Shared{})}, true},
		"both refuse":    {[]runtime.StoreOption{tier(), runtime.L2(memory.NewL2(memory.L2Options{MaxSize: "1mb"}))}, false},
		"shared refuses": {[]runtime.StoreOption{runtime.L2(memory.NewL2(memory.L2Options{MaxSize: "1mb"}))}, false},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				mayTell(t, "refused", "is not kept")
				var r refusals
				s := newStore(t, append(test.options, r.options())...)
				c := newCache[int, string](t, s)
				var loads int
				for range 3 {
					got, err := c.GetOrSet(t.Context(), 1, func(context.Context) (string, error) { loads++; return large, nil })
					if err != nil || got != large {
						t.Fatal(len(got), err)
					}
				}
				if wanted := map[bool]int{true: 1, false: 3}[test.kept]; loads != wanted {
					t.Errorf("%d loads, want %d", loads, wanted)
				}
				if stored := r.stored.Load(); stored != map[bool]int64{true: 1}[test.kept] {
					t.Errorf("%d times it was told that the value is stored", stored)
				}
				if e := r.last.Load(); r.events.Load() < 3 || e.Key != adHocKeys+"1" || e.Store != "test" || !errors.Is(e.Err, drivers.ErrRefused) {
					t.Errorf("%d events, the last is %+v", r.events.Load(), e)
				}
				if n := strings.Count(r.lines.String(), "is not kept"); n != 1 && name != "shared refuses" {
					t.Errorf("it was logged %d times: %s", n, r.lines.String())
				}
				err := c.Set(t.Context(), 2, large)
				if test.kept {
					if err != nil {
						t.Error(err)
					}
				} else if !errors.Is(err, drivers.ErrRefused) {
					t.Errorf("Set returns %v", err)
				}
				if _, ok, err := c.Get(t.Context(), 2); ok != test.kept || err != nil {
					t.Errorf("what was set is there: %v, %v", ok, err)
				}
				if err := c.Set(t.Context(), 3, "small"); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

type node struct {
	Name string
	Next *node
}

// A value without an end cannot be copied: its callers get it, but it is not kept, and
// nothing walks over it until the stack is full.
func TestAValueWithoutAnEndIsNotKept(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		mayTell(t, "cannot be copied", "nested deeper")
		var r refusals
		c := newCache[int, *node](t, newStore(t, in.tiers(), r.options()))
		var loads int
		load := func(context.Context) (*node, error) {
			loads++
			var chain *node
			for range 300_000 {
				chain = &node{Next: chain}
			}
			return chain, nil
		}
		for range 2 {
			got, err := c.GetOrSet(t.Context(), 1, load)
			if err != nil || got == nil {
				t.Fatal(err)
			}
		}
		m, err := c.GetOrSetMany(t.Context(), []int{2}, func(context.Context, []int) (map[int]*node, error) {
			v, err := load(nil)
			return map[int]*node{2: v}, err
		})
		if err != nil || m[2] == nil || loads != 3 {
			t.Error(len(m), err, loads)
		}
		if _, err := c.GetOrSet(t.Context(), 4, func(context.Context) (*node, error) { v, _ := load(nil); return v, errSource }); err != errSource {
			t.Error(err)
		}
		v, _ := load(nil)
		if err := c.Set(t.Context(), 3, v); err == nil || !strings.Contains(err.Error(), "nested deeper") {
			t.Errorf("Set returns %v", err)
		}
		if r.stored.Load() != 0 || r.events.Load() != 5 {
			t.Errorf("%d were stored, %d refused", r.stored.Load(), r.events.Load())
		}
	})
}

// A ring is kept in memory: its copies are rings. It is not written to a shared tier.
func TestARingIsKeptInMemory(t *testing.T) {
	inEveryShapeWithMemory(t, func(t *testing.T, in shape) {
		mayTell(t, "encode")
		c := newCache[int, *node](t, newStore(t, in.tiers()))
		loads := 0
		for range 2 {
			got, err := c.GetOrSet(t.Context(), 1, func(context.Context) (*node, error) {
				loads++
				ring := &node{}
				ring.Next = ring
				return ring, nil
			})
			if err != nil || got.Next != got {
				t.Fatal(err)
			}
		}
		if loads != 1 {
			t.Errorf("%d loads", loads)
		}
	})
}

// constant returns a loader of one value.
func constant[V any](v V) func(context.Context) (V, error) {
	return func(context.Context) (V, error) { return v, nil }
}
