package runtime_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/event"
	"github.com/cachegen/cachegen/runtime/gen"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

// A diary writes down what hooks are told.
type diary struct {
	mu    sync.Mutex
	lines []string
}

// plainKeys leaves out what newCache puts before each key, where there is no namespace.
var plainKeys = strings.NewReplacer(" "+adHocKeys, " ", "["+adHocKeys, "[")

func (d *diary) add(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, plainKeys.Replace(fmt.Sprintf(format, args...)))
}

// take returns what has been written since it was asked last.
func (d *diary) take() []string {
	synctest.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	lines := d.lines
	d.lines = nil
	return lines
}

func (d *diary) hooks() event.Hooks {
	mark := func(b bool, word string) string {
		if b {
			return " " + word
		}
		return ""
	}
	invalidated := func(op string) func(event.Invalidation) {
		return func(e event.Invalidation) {
			d.add("%s %v %v %s %s%s", op, e.Keys, e.Tags, e.Namespace, e.Cache, mark(e.Err != nil, "failed"))
		}
	}
	return event.Hooks{
		Hit: func(e event.Hit) {
			d.add("hit %s %v%s%s", e.Key, e.Tier, mark(e.Stale, "stale"), mark(e.NotFound, "not found"))
		},
		Miss: func(e event.Miss) { d.add("miss %s", e.Key) },
		Loaded: func(e event.Load) {
			d.add("loaded %v %v%s%s%s", e.Keys, e.Took, mark(e.Err != nil, "failed"), mark(e.Refresh, "refresh"), mark(e.Background, "background"))
		},
		Skipped:    func(e event.Skip) { d.add("skipped %s %d: %d run, %d left", e.Cache, e.Keys, e.Running, e.Left) },
		Written:    func(e event.Write) { d.add("written %s%s", e.Key, mark(e.Loaded, "loaded")) },
		Deleted:    invalidated("deleted"),
		Expired:    invalidated("expired"),
		Cleared:    invalidated("cleared"),
		Published:  func(e event.Message) { d.add("published %s %v%s", e.Kind, e.Targets, mark(e.Err != nil, "failed")) },
		Received:   func(e event.Message) { d.add("received %s %v", e.Kind, e.Targets) },
		Operation:  func(e event.Operation) { d.add("L2 %s %d%s", e.Op, e.Keys, mark(e.Err != nil, "failed")) },
		Breaker:    func(e event.BreakerChange) { d.add("breaker %s", e.State) },
		Pending:    func(e event.Pending) { d.add("pending %d%s", e.Pending, mark(e.Err != nil, "failed")) },
		Unreadable: func(e event.Unreadable) { d.add("unreadable %s%s", e.Key, mark(e.Schema, "schema")) },
	}
}

func wantLines(t *testing.T, d *diary, lines ...string) {
	t.Helper()
	wantSomeAtOnce(t, d, 0, 0, lines...)
}

// wantSomeAtOnce is wantLines for lines some of which, from the one to the other, are written at
// once: in any order.
func wantSomeAtOnce(t *testing.T, d *diary, from, to int, lines ...string) {
	t.Helper()
	got := d.take()
	for _, all := range [][]string{got, lines} {
		if to <= len(all) {
			slices.Sort(all[from:to])
		}
	}
	if !slices.Equal(got, lines) {
		t.Errorf("got:\n\t%s\nwant:\n\t%s", strings.Join(got, "\n\t"), strings.Join(lines, "\n\t"))
	}
}

func TestHooksTellWhatHappensInMemory(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var d diary
		s := newStore(t, memoryTier(), runtime.Hooks(d.hooks()), runtime.TTL(time.Minute), runtime.Grace(time.Hour))
		c := newCache[int, int](t, s.Namespace("users"))
		var src source
		src.delay.Store(int64(time.Second))
		read := func() {
			t.Helper()
			if _, err := c.GetOrSet(t.Context(), 7, src.load, runtime.Tags("x")); err != nil {
				t.Fatal(err)
			}
		}
		read()
		wantLines(t, &d, "loaded [@users@!values:7] 1s", "written @users@!values:7 loaded", "miss @users@!values:7")
		read()
		_, _, _ = c.Get(t.Context(), 7)
		_, _ = c.Has(t.Context(), 8)
		wantLines(t, &d, "hit @users@!values:7 L1", "hit @users@!values:7 L1", "miss @users@!values:8")
		time.Sleep(2 * time.Minute)
		read()
		wantLines(t, &d, "hit @users@!values:7 L1 stale")
		time.Sleep(time.Second)
		wantLines(t, &d, "loaded [@users@!values:7] 1s refresh background", "written @users@!values:7 loaded")
		_ = c.Set(t.Context(), 7, 1)
		_ = c.Expire(t.Context(), 7)
		_, _, _ = c.Get(t.Context(), 7, runtime.AllowStale())
		_ = c.Delete(t.Context(), 7)
		_ = s.ExpireByTag(t.Context(), "x", "y")
		_ = s.DeleteByTag(t.Context(), "x")
		_ = c.Clear(t.Context())
		_ = s.Clear(t.Context())
		_ = s.DeleteByTag(t.Context())
		_ = c.DeleteMany(t.Context())
		wantLines(t, &d, "written @users@!values:7", "expired [@users@!values:7] []  ", "hit @users@!values:7 L1 stale", "deleted [@users@!values:7] []  ",
			"expired [] [x y]  ", "deleted [] [x]  ", "cleared [] [] users values", "cleared [] []  ")
		src.fail.Store(true)
		_, _ = c.GetOrSet(t.Context(), 7, src.load)
		wantLines(t, &d, "loaded [@users@!values:7] 1s failed", "miss @users@!values:7")
	})
}

func TestHooksTellWhatIsNotLoadedInTheBackground(t *testing.T) {
	mayTell(t, "not loaded in the background", "not refreshed until")
	inEveryShapeWithMemory(t, func(t *testing.T, in shape) {
		var d diary
		s := newStore(t, in.tiers(), runtime.MaxBackground(2), runtime.TTL(time.Second), runtime.Grace(time.Hour),
			runtime.HardTimeout(10*time.Second), runtime.Hooks(event.Hooks{Skipped: d.hooks().Skipped}))
		c := newCache[int, int](t, s)
		fill(t, c, 3)
		release := make(chan struct{})
		read := func(k int) {
			t.Helper()
			got, err := c.GetOrSet(t.Context(), k, func(context.Context) (int, error) { <-release; return 2, nil })
			want(t, got, err, 1)
		}
		read(0)
		wantLines(t, &d)
		read(1)
		wantLines(t, &d, "skipped values 1: 1 run, 0 left")
		time.Sleep(11 * time.Second)
		read(1)
		wantLines(t, &d, "skipped values 1: 0 run, 1 left")
		close(release)
		synctest.Wait()
		read(1)
		wantLines(t, &d)
	})
}

func TestHooksTellOfTheSharedTierAndTheBus(t *testing.T) {
	mayTell(t, theSharedTierFails...)
	mayTell(t, "another shape", "cannot be read", "unreadable")
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		var bus faketier.Bus
		var d, other diary
		open := func(d *diary) (*runtime.Store, *runtime.Cache[int, int]) {
			s := newStore(t, memoryTier(), runtime.L2(&shared), runtime.Bus(&bus), runtime.Hooks(d.hooks()),
				runtime.L2CircuitBreakerDuration(10*time.Second), runtime.TTL(time.Hour), runtime.StampTrust(time.Hour))
			return s, newCache[int, int](t, s)
		}
		_, a := open(&d)
		_, b := open(&other)
		var src source
		_, _ = a.GetOrSet(t.Context(), 7, src.load)
		wantSomeAtOnce(t, &d, 1, 4, "L2 read 4", "L2 add 1", "L2 add 2", "L2 lease 1", "loaded [7] 0s", "L2 fill 1", "written 7 loaded", "miss 7")
		_, _ = b.GetOrSet(t.Context(), 7, src.load)
		wantLines(t, &other, "L2 read 4", "hit 7 L2")
		_ = b.Delete(t.Context(), 7)
		wantLines(t, &other, "L2 delete 1", "published drop [7]", "deleted [7] []  ")
		wantLines(t, &d, "received drop [7]")
		shared.Put(adHocKeys+"8", []byte("foreign"))
		_, _, _ = a.Get(t.Context(), 8)
		wantLines(t, &d, "L2 read 1", "unreadable 8", "miss 8")
		strings := newCache[int, string](t, newStore(t, runtime.L2(&shared)))
		_ = strings.Set(t.Context(), 9, "a")
		_, _, _ = a.Get(t.Context(), 9)
		wantLines(t, &d, "L2 read 1", "unreadable 9 schema", "miss 9")
		shared.Down(errDown)
		for range 3 {
			_ = a.Delete(t.Context(), 7)
		}
		lines := d.take()
		for _, line := range []string{"L2 delete 1 failed", "pending 1 failed", "published drop [7]", "breaker open", "deleted [7] []   failed"} {
			if !slices.Contains(lines, line) {
				t.Errorf("%q is missing in %q", line, lines)
			}
		}
		shared.Down(nil)
		time.Sleep(time.Minute)
		lines = d.take()
		if tail := lines[len(lines)-4:]; !slices.Equal(tail, []string{"L2 delete 1", "breaker closed", "published drop [7]", "pending 0"}) {
			t.Errorf("it ends with %q", tail)
		}
	})
}

func TestHooksTellOfEachKeyOfABatch(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		var d diary
		s := newStore(t, memoryTier(), runtime.L2(&shared), runtime.Hooks(d.hooks()))
		c := newCache[int, int](t, s)
		_ = c.Set(t.Context(), 1, 1)
		_ = newCache[int, int](t, newStore(t, runtime.L2(&shared))).Set(t.Context(), 2, 2)
		d.take()
		_, err := c.GetOrSetMany(t.Context(), []int{1, 2, 3}, func(_ context.Context, keys []int) (map[int]int, error) {
			return map[int]int{3: 3}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		wantSomeAtOnce(t, &d, 2, 4, "hit 1 L1", "L2 read 3", "L2 add 1", "L2 lease 1", "loaded [3] 0s", "L2 fill 1", "written 3 loaded", "hit 2 L2", "miss 3")
		_, _ = c.GetMany(t.Context(), []int{1, 2, 4})
		wantLines(t, &d, "hit 1 L1", "hit 2 L1", "L2 read 1", "miss 4")
	})
}

func TestHooksAreCalledByAllWhoGaveThem(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var a, b, c diary
		s := newStore(t, memoryTier(), runtime.Hooks(a.hooks()), runtime.Hooks(event.Hooks{}), runtime.Hooks(b.hooks()))
		stores, err := runtime.NewStores(s)
		if err != nil {
			t.Fatal(err)
		}
		if err := stores.SetDefaults(runtime.Hooks(c.hooks())); err != nil {
			t.Fatal(err)
		}
		_ = newCache[int, int](t, s).Set(t.Context(), 7, 1)
		for _, d := range []*diary{&a, &b, &c} {
			wantLines(t, d, "written 7")
		}
	})
}

// A hook that panics harms nobody, least of all a lock.
func TestAHookThatPanicsIsLogged(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		var log bytes.Buffer
		var panics event.Hooks
		v := reflect.ValueOf(&panics).Elem()
		for i := range v.NumField() {
			v.Field(i).Set(reflect.MakeFunc(v.Field(i).Type(), func([]reflect.Value) []reflect.Value { panic("hook") }))
		}
		s := newStore(t, in.tiers(), runtime.Hooks(panics),
			runtime.Logger(slog.New(slog.NewTextHandler(&log, nil))))
		c := newCache[int, int](t, s)
		var src source
		for range 2 {
			got, err := c.GetOrSet(t.Context(), 7, src.load)
			want(t, got, err, 0)
			if err := c.Delete(t.Context(), 7); err != nil {
				t.Fatal(err)
			}
			if err := s.Clear(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if !strings.Contains(log.String(), "hook panicked") {
			t.Error(log.String())
		}
	})
}

func TestAHookThatPanicsKeepsNoOtherFromBeingCalled(t *testing.T) {
	mayTell(t, "hook panicked")
	bubble(t, func(t *testing.T) {
		var d diary
		s := newStore(t, memoryTier(), runtime.Hooks(event.Hooks{Written: func(event.Write) { panic("hook") }}), runtime.Hooks(d.hooks()))
		_ = newCache[int, int](t, s).Set(t.Context(), 7, 1)
		wantLines(t, &d, "written 7")
	})
}

// Hooks may use the store.
func TestAHookMayUseTheStore(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		var c *runtime.Cache[int, int]
		s := newStore(t, in.tiers(), runtime.Hooks(event.Hooks{
			Written: func(e event.Write) {
				if e.Key == adHocKeys+"7" {
					_ = c.Delete(context.Background(), 7)
				}
			},
		}))
		c = newCache[int, int](t, s)
		if err := c.Set(t.Context(), 7, 1); err != nil {
			t.Fatal(err)
		}
		if ok, err := c.Has(t.Context(), 7); ok || err != nil {
			t.Fatal(ok, err)
		}
	})
}

func TestUsedHooksAllocateNothingOnAHit(t *testing.T) {
	var hits int
	s := newStore(t, memoryTier(), runtime.TTL(time.Hour), runtime.Hooks(event.Hooks{Hit: func(e event.Hit) { hits++ }}))
	stores, err := runtime.NewStores(s)
	if err != nil {
		t.Fatal(err)
	}
	c, err := open(stores, definition[benchKey, int]{Name: "f", Pattern: "user:{id}", IntPrefix: "user:"})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Set(t.Context(), 7, 1); err != nil {
		t.Fatal(err)
	}
	text := []byte("user:7")
	if n := testing.AllocsPerRun(100, func() {
		if _, ok := gen.Hit(t.Context(), c, text); !ok {
			t.Fatal("miss")
		}
		if _, ok := gen.HitInt(t.Context(), c, 7); !ok {
			t.Fatal("miss")
		}
	}); n != 0 || hits < 200 {
		t.Errorf("%v allocations, %d hits", n, hits)
	}
}

func TestLogHooksLogEverything(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var log bytes.Buffer
		hooks := event.LogHooks(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})), slog.LevelDebug)
		v := reflect.ValueOf(hooks)
		for i := range v.NumField() {
			if v.Field(i).IsNil() {
				t.Errorf("nobody logs %s", v.Type().Field(i).Name)
				continue
			}
			event := reflect.New(v.Field(i).Type().In(0)).Elem()
			store := event.FieldByName("Store")
			store.SetString("main")
			v.Field(i).Call([]reflect.Value{event})
			if line := log.String(); !strings.Contains(line, "level=DEBUG") || !strings.Contains(line, "store=main") {
				t.Errorf("%s: %q", v.Type().Field(i).Name, line)
			}
			log.Reset()
			if failed := event.FieldByName("Err"); failed.IsValid() {
				failed.Set(reflect.ValueOf(errors.New("refused")))
				v.Field(i).Call([]reflect.Value{event})
				if line := log.String(); !strings.Contains(line, "level=WARN") || !strings.Contains(line, "refused") {
					t.Errorf("%s: %q", v.Type().Field(i).Name, line)
				}
				log.Reset()
			}
		}
		_ = event.LogHooks(nil, slog.LevelDebug)
	})
}

// What a hook does to the key that it is told of does not wait for the call that told it.
func TestAHookMayUseTheKeyThatItIsToldOf(t *testing.T) {
	for name, options := range map[string][]runtime.StoreOption{"memory": {memoryTier()}, "shared": {runtime.L2(&faketier.Shared{})}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var c *runtime.Cache[int, int]
				var told atomic.Int64
				load := func(context.Context) (int, error) { return 1, nil }
				use := func() {
					if told.Add(1) > 1 {
						return
					}
					_, _ = c.GetOrSet(context.Background(), 7, load)
					_, _, _ = c.Pull(context.Background(), 7)
				}
				s := newStore(t, append(options, runtime.Hooks(event.Hooks{
					Hit:  func(event.Hit) { use() },
					Miss: func(event.Miss) { use() },
					Written: func(event.Write) {
						if name == "memory" {
							use()
						}
					},
					Deleted: func(event.Invalidation) { use() },
				}))...)
				c = newCache[int, int](t, s)
				for call, f := range map[string]func(){
					"load":           func() { _, _ = c.GetOrSet(t.Context(), 7, load) },
					"pull":           func() { _, _, _ = c.Pull(t.Context(), 7) },
					"pull something": func() { _, _, _ = c.Pull(t.Context(), 7) },
				} {
					told.Store(1)
					if call == "pull something" {
						_ = c.Set(t.Context(), 7, 1)
					} else {
						_ = c.Delete(t.Context(), 7)
					}
					told.Store(0)
					began := time.Now()
					f()
					if took := time.Since(began); took > 0 || told.Load() == 0 {
						t.Error(call, "took", took, "and told", told.Load())
					}
				}
			})
		})
	}
}

// A hook that is called behind, when an invalidation is tried again, may close the store;
// and one that takes its time holds up nobody who closes it.
func TestCloseDoesNotWaitForTheHookThatCalls(t *testing.T) {
	mayTell(t, theSharedTierFails...)
	bubble(t, func(t *testing.T) {
		var shared faketier.Shared
		var s *runtime.Store
		var events, closed atomic.Int64
		s = newStore(t, runtime.L2(&shared), runtime.Hooks(event.Hooks{Pending: func(event.Pending) {
			if events.Add(1) == 2 { // the first try again
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				defer cancel()
				if err := s.Close(ctx); !errors.Is(err, errDown) && !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
				closed.Add(1)
			}
		}}))
		shared.Down(errDown)
		_ = s.DeleteByTag(t.Context(), "a")
		time.Sleep(3 * time.Second)
		if closed.Load() != 1 {
			t.Error("Close has not returned")
		}
	})
}
