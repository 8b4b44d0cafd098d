package runtime_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

// Whatever reads while the shared tier is down, and however it is asked: a value that may be
// served is served, and there is an error only if there is none; and each key is one event,
// which says what the caller has got.
func TestReadsWhileTheSharedTierIsDownServeWhatMemoryHas(t *testing.T) {
	mayTell(t, theSharedTierFails...)
	mayTell(t, "the stale value is served")
	// How the value in memory came to be of little worth; the last ones are worth nothing.
	ends := map[string]func(t *testing.T, s *runtime.Store, c *runtime.Cache[int, int]){
		"fresh":   func(*testing.T, *runtime.Store, *runtime.Cache[int, int]) {},
		"elapsed": func(*testing.T, *runtime.Store, *runtime.Cache[int, int]) { time.Sleep(2 * time.Minute) },
		"expired": func(t *testing.T, _ *runtime.Store, c *runtime.Cache[int, int]) {
			if err := c.Expire(t.Context(), 7); err != nil {
				t.Error(err)
			}
		},
		"tag expired": func(t *testing.T, s *runtime.Store, _ *runtime.Cache[int, int]) {
			if err := s.ExpireByTag(t.Context(), "tag"); err != nil {
				t.Error(err)
			}
		},
		"unconfirmed": func(*testing.T, *runtime.Store, *runtime.Cache[int, int]) { time.Sleep(30 * time.Second) }, // its L1TTL is over
		"deleted": func(t *testing.T, _ *runtime.Store, c *runtime.Cache[int, int]) {
			if err := c.Delete(t.Context(), 7); err != nil {
				t.Error(err)
			}
		},
	}
	type result struct {
		n   int // how many values
		err error
	}
	one := func(v int, ok bool, err error) result {
		if ok && v != 1 {
			t.Errorf("got %d", v)
		}
		return result{map[bool]int{true: 1}[ok], err}
	}
	type reader = func(ctx context.Context, c *runtime.Cache[int, int], o ...runtime.CallOption) result
	reads := map[string]reader{
		"Get": func(ctx context.Context, c *runtime.Cache[int, int], o ...runtime.CallOption) result {
			return one(c.Get(ctx, 7, o...))
		},
		"GetMany": func(ctx context.Context, c *runtime.Cache[int, int], o ...runtime.CallOption) result {
			m, err := c.GetMany(ctx, []int{7}, o...)
			return result{len(m), err}
		},
		"GetMany of two": func(ctx context.Context, c *runtime.Cache[int, int], o ...runtime.CallOption) result {
			m, err := c.GetMany(ctx, []int{7, 8}, o...)
			return result{len(m), err}
		},
		"GetOrSet": func(ctx context.Context, c *runtime.Cache[int, int], o ...runtime.CallOption) result {
			v, err := c.GetOrSet(ctx, 7, func(context.Context) (int, error) { return 0, errSource }, o...)
			return one(v, err == nil, err)
		},
		"GetOrSetMany": func(ctx context.Context, c *runtime.Cache[int, int], o ...runtime.CallOption) result {
			m, err := c.GetOrSetMany(ctx, []int{7}, func(context.Context, []int) (map[int]int, error) { return nil, errSource }, o...)
			return result{len(m), err}
		},
		"Has": func(ctx context.Context, c *runtime.Cache[int, int], _ ...runtime.CallOption) result {
			ok, err := c.Has(ctx, 7)
			return one(1, ok, err)
		},
		"Pull": func(ctx context.Context, c *runtime.Cache[int, int], _ ...runtime.CallOption) result {
			return one(c.Pull(ctx, 7))
		},
	}
	for end, spoil := range ends {
		for name, read := range reads {
			for _, suppress := range []bool{true, false} {
				for _, allowStale := range []bool{true, false} {
					if reads := strings.HasPrefix(name, "Get") && !strings.HasPrefix(name, "GetOrSet"); allowStale && !reads {
						continue // which have no such option
					}
					words := []string{end, name}
					if !suppress {
						words = append(words, "strict")
					}
					if allowStale {
						words = append(words, "stale allowed")
					}
					t.Run(strings.Join(words, ", "), func(t *testing.T) {
						bubble(t, func(t *testing.T) {
							var d diary
							var shared faketier.Shared
							s := newStore(t, memoryTier(), runtime.L2(&shared), runtime.Hooks(d.hooks()), runtime.TTL(time.Minute), runtime.Grace(time.Hour))
							c := newCache[int, int](t, s, runtime.SuppressL2Errors(suppress), runtime.L1TTL(20*time.Second))
							if err := c.Set(t.Context(), 7, 1, runtime.Tags("tag")); err != nil {
								t.Fatal(err)
							}
							spoil(t, s, c)
							shared.Down(errDown)
							d.take()
							var o []runtime.CallOption
							if allowStale {
								o = append(o, runtime.AllowStale())
							}
							got := read(t.Context(), c, o...)

							stale := end != "fresh" && end != "deleted"
							loads := strings.HasPrefix(name, "GetOrSet")
							served := end == "fresh" || stale && (loads || allowStale && strings.HasPrefix(name, "Get"))
							asked := 1
							if name == "GetMany of two" {
								asked = 2
							}
							served = served && name != "Pull" // which takes nothing that others may take, too
							switch {
							case got.n != map[bool]int{true: 1}[served]:
								t.Errorf("got %d values, %v", got.n, got.err)
							case suppress && !loads && got.err != nil, got.n == asked && got.err != nil:
								t.Errorf("got %d values and %v", got.n, got.err)
							case got.n < asked && !suppress && !errors.Is(got.err, errDown):
								t.Errorf("got %d values and no error of the tier: %v", got.n, got.err)
							}
							lines := slices.DeleteFunc(d.take(), func(l string) bool { return !strings.HasPrefix(l, "hit") && !strings.HasPrefix(l, "miss") })
							slices.Sort(lines)
							wanted := "miss 7"
							if served {
								wanted = "hit 7 L1"
								if stale {
									wanted += " stale"
								}
							}
							if len(lines) != asked || lines[0] != wanted {
								t.Errorf("the hooks heard %q, want %q", lines, wanted)
							}
							shared.Down(nil)
						})
					})
				}
			}
		}
	}
}
