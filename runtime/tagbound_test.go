package runtime_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
	"github.com/cachegen/cachegen/runtime/internal/stamp"
)

func manyTags(n int) []runtime.Tag {
	tags := make([]runtime.Tag, n)
	for i := range tags {
		tags[i] = runtime.Tag(fmt.Sprint("tag", i))
	}
	return tags
}

// Kind: a count without a bound. What has more tags than an entry can have is handed out and
// not kept, wherever the tags come from, and nothing is read or written for each of them.
func TestAValueWithTooManyTagsIsNotKept(t *testing.T) {
	mayTell(t, "a loaded value is not kept", "refused it has more tags")
	for where, load := range map[string]func(*runtime.Cache[int, int], int, *int) error{
		"of the call": func(c *runtime.Cache[int, int], n int, loads *int) error {
			_, err := c.GetOrSet(context.Background(), 1, func(context.Context) (int, error) { *loads++; return 7, nil }, runtime.Tags(manyTags(n)...))
			return err
		},
		"of the loader": func(c *runtime.Cache[int, int], n int, loads *int) error {
			_, err := c.GetOrSet(context.Background(), 1, func(ctx context.Context) (int, error) {
				*loads++
				runtime.EntryOf(ctx).SetTags(manyTags(n)...)
				return 7, nil
			})
			return err
		},
	} {
		for _, n := range []int{1000, 100_000} {
			t.Run(fmt.Sprint(where, " ", n), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					var shared faketier.Shared
					c := newCache[int, int](t, newStore(t, memoryTier(), runtime.L2(&shared), runtime.TTL(time.Hour)))
					loads := 0
					for range 3 {
						if err := load(c, n, &loads); err != nil {
							t.Fatal(err)
						}
					}
					if kept := loads < 3; kept != (n == 1000) {
						t.Errorf("%d loads", loads)
					}
					if got := len(shared.Keys()); n > 1000 && got > 3 {
						t.Errorf("%d keys in the shared tier", got)
					}
				})
			})
		}
	}
	c := newCache[int, int](t, newStore(t, runtime.L2(&faketier.Shared{})))
	if err := c.Set(t.Context(), 1, 7, runtime.Tags(manyTags(2000)...)); err == nil || !strings.Contains(err.Error(), "more tags") {
		t.Error(err)
	}
}

// Kind: a reader that works, or writes, as much as somebody else's bytes say. An entry that
// names what no entry of its cache has is no entry, and costs its reader nothing.
func TestAnEntryWithForeignStampsCostsItsReaderNothing(t *testing.T) {
	mayTell(t, "cannot be read", "unreadable")
	for name, spoil := range map[string]func(*entry.Header){
		"100,000 tags": func(h *entry.Header) {
			for i := range 100_000 {
				h.Stamps = append(h.Stamps, stamp.Named{Name: fmt.Sprint("t:", i), Value: stamp.Value{Delete: 1, Expire: 1}})
			}
		},
		"another namespace": func(h *entry.Header) {
			h.Stamps = append(h.Stamps, stamp.Named{Name: "n:@other", Value: stamp.Value{Delete: 1, Expire: 1}})
		},
		"another cache": func(h *entry.Header) {
			h.Stamps = append(h.Stamps, stamp.Named{Name: "c::other", Value: stamp.Value{Delete: 1, Expire: 1}})
		},
		"a name of no kind": func(h *entry.Header) {
			h.Stamps = append(h.Stamps, stamp.Named{Name: "x", Value: stamp.Value{Delete: 1, Expire: 1}})
		},
		"the store twice":        func(h *entry.Header) { h.Stamps = append(h.Stamps, h.Stamps[0]) },
		"a tag without halves":   func(h *entry.Header) { h.Stamps = append(h.Stamps, stamp.Named{Name: "t:absent"}) },
		"a store without halves": func(h *entry.Header) { h.Stamps[0].Value = stamp.Value{} },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var shared faketier.Shared
				s := newStore(t, runtime.L2(&shared), runtime.TTL(time.Hour))
				c := newCache[int, int](t, s)
				if err := c.Set(t.Context(), 1, 7); err != nil {
					t.Fatal(err)
				}
				var key string
				for k := range shared.Keys() {
					if !strings.HasPrefix(k, "!") {
						key = k
					}
				}
				h, value, err := entry.Parse(shared.Keys()[key])
				if err != nil {
					t.Fatal(err)
				}
				spoil(&h)
				shared.Put(key, entry.Append(nil, &h, value))
				before, gets := len(shared.Keys()), shared.Calls("get")
				other := newCache[int, int](t, newStore(t, runtime.L2(&shared)))
				if got, ok, err := other.Get(t.Context(), 1); ok || err != nil {
					t.Error(got, err)
				}
				if len(shared.Keys()) != before || shared.Calls("get") != gets+1 {
					t.Errorf("%d keys were written, %d reads", len(shared.Keys())-before, shared.Calls("get")-gets)
				}
			})
		})
	}
}
