package runtime_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/event"
)

// What an option would do at a method where it does nothing, nobody finds out. Which has a
// meaning where, package policy tests; here each function that makes an option is one that the
// methods know.
func TestEveryCallOptionIsSeenWhereItHasNoMeaning(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newCache[int, int](t, newStore(t, in.tiers()))
		if err := c.Set(t.Context(), 1, 7); err != nil {
			t.Fatal(err)
		}
		get := func(o ...runtime.CallOption) error { _, _, err := c.Get(t.Context(), 1, o...); return err }
		getMany := func(o ...runtime.CallOption) error { _, err := c.GetMany(t.Context(), []int{1}, o...); return err }
		set := func(o ...runtime.CallOption) error { return c.Set(t.Context(), 1, 8, o...) }
		setForever := func(o ...runtime.CallOption) error { return c.SetForever(t.Context(), 1, 8, o...) }
		load := func(context.Context) (int, error) { t.Error("it has loaded"); return 8, nil }
		getOrSet := func(o ...runtime.CallOption) error { _, err := c.GetOrSet(t.Context(), 2, load, o...); return err }
		getOrSetForever := func(o ...runtime.CallOption) error {
			_, err := c.GetOrSetForever(t.Context(), 2, load, o...)
			return err
		}
		getOrSetMany := func(o ...runtime.CallOption) error {
			_, err := c.GetOrSetMany(t.Context(), []int{2}, func(context.Context, []int) (map[int]int, error) { t.Error("it has loaded"); return nil, nil }, o...)
			return err
		}
		for want, err := range map[string]error{
			"Get of values: TTL has no meaning":                    get(runtime.TTL(time.Minute)),
			"Get of values: Grace has":                             get(runtime.Grace(time.Minute)),
			"Get of values: GraceBackoff has":                      get(runtime.GraceBackoff(time.Minute)),
			"Get of values: Timeout has":                           get(runtime.Timeout(time.Minute)),
			"Get of values: HardTimeout has":                       get(runtime.HardTimeout(time.Minute)),
			"Get of values: LockTimeout has":                       get(runtime.LockTimeout(time.Minute)),
			"Get of values: RefreshAfter has":                      get(runtime.RefreshAfter(time.Minute)),
			"Get of values: RefreshPercent has":                    get(runtime.RefreshPercent(80)),
			"Get of values: ErrorTTL has":                          get(runtime.ErrorTTL(time.Minute)),
			"Get of values: NotFoundTTL has":                       get(runtime.NotFoundTTL(time.Minute)),
			"Get of values: Jitter has":                            get(runtime.Jitter(time.Minute)),
			"Get of values: JitterPercent has":                     get(runtime.JitterPercent(10)),
			"Get of values: L1TTL has":                             get(runtime.L1TTL(time.Minute)),
			"Get of values: SkipL2Write has":                       get(runtime.SkipL2Write(false)),
			"Get of values: SkipBusNotify has":                     get(runtime.SkipBusNotify(true)),
			"Get of values: OnLoadError has":                       get(runtime.OnLoadError(nil)),
			"Get of values: BatchMax has":                          get(runtime.BatchMax(1)),
			"Get of values: Tags has":                              get(runtime.Tags()),
			"Get of values: ForceFresh has":                        get(runtime.ForceFresh()),
			"GetMany of values: ForceFresh has":                    getMany(runtime.ForceFresh()),
			"GetOrSet of values: AllowStale has":                   getOrSet(runtime.AllowStale()),
			"GetOrSetForever of values: TTL has":                   getOrSetForever(runtime.TTL(time.Minute)),
			"GetOrSetForever of values: AllowStale has":            getOrSetForever(runtime.AllowStale()),
			"GetOrSetMany of values: SkipBusNotify has":            getOrSetMany(runtime.SkipBusNotify(true)),
			"Set of values: SuppressL2Errors has":                  set(runtime.SuppressL2Errors(false)),
			"SetForever of values: TTL has":                        setForever(runtime.TTL(time.Minute)),
			"Set of values: Grace -1s is negative":                 set(runtime.Grace(-time.Second)),
			"Set of values: TTL -1s is negative":                   set(runtime.TTL(-time.Second)),
			"Get of values: one of the options is nil":             get(nil),
			"Set of values: one of the options is nil":             set(runtime.TTL(time.Minute), nil),
			"GetOrSet of values: JitterPercent 100 is not":         getOrSet(runtime.JitterPercent(100)),
			"GetOrSet of values: HardTimeout 1s is not above":      getOrSet(runtime.HardTimeout(time.Second), runtime.Timeout(time.Minute)),
			"GetOrSetMany of values: BatchMax -1 is negative":      getOrSetMany(runtime.BatchMax(-1)),
			"GetOrSetForever of values: one of the options is nil": getOrSetForever(nil),
		} {
			if err == nil || !strings.HasPrefix(err.Error(), "cachegen: "+want) {
				t.Errorf("got %v, want %s…", err, want)
			}
		}
		if v, ok, err := c.Get(t.Context(), 1, runtime.AllowStale(), runtime.SuppressL2Errors(false)); v != 7 || !ok || err != nil {
			t.Error("a call that is refused has changed something:", v, err)
		}
		// A TTL of zero at a call is no mistake: nothing is stored.
		if err := set(runtime.TTL(0)); err != nil {
			t.Error(err)
		}
		if has, err := c.Has(t.Context(), 1); has || err != nil {
			t.Error("it is there:", err)
		}
	})
}

// A loader has nobody to return it to that an option is wrong: its value is handed out and not
// kept, and that is logged and told.
func TestAnOptionThatALoaderGivesWronglyIsSeen(t *testing.T) {
	mayTell(t, "a loader has given options that are wrong, nothing is kept", "refused cachegen: SetOptions in a loader of values")
	for text, o := range map[string][]runtime.CallOption{
		"Timeout has no meaning": {runtime.TTL(time.Hour), runtime.Timeout(time.Second)},
		"ForceFresh has":         {runtime.ForceFresh()},
		"Grace -1s is negative":  {runtime.Grace(-time.Second)},
		"options is nil":         {runtime.Tags("a"), nil},
	} {
		t.Run(text, func(t *testing.T) {
			inEveryShape(t, func(t *testing.T, in shape) {
				var refused []event.Refusal
				c := newCache[int, int](t, newStore(t, in.tiers(), runtime.Hooks(event.Hooks{Refused: func(e event.Refusal) { refused = append(refused, e) }})))
				var loads int
				for range 2 {
					got, err := c.GetOrSet(t.Context(), 1, says(&loads, 7, func(e *runtime.Entry) { e.SetOptions(o...) }))
					want(t, got, err, 7)
				}
				if loads != 2 || len(refused) != 2 || refused[0].Tier != 0 || !strings.Contains(refused[0].Err.Error(), text) {
					t.Errorf("%d loads, %+v", loads, refused)
				}
			})
		})
	}
}

// The time until what a loader has got is over may be over: it is handed out once.
func TestALoaderMayHaveNoTimeLeft(t *testing.T) {
	inEveryShape(t, func(t *testing.T, in shape) {
		c := newCache[int, int](t, newStore(t, in.tiers()))
		var loads int
		for range 2 {
			got, err := c.GetOrSet(t.Context(), 1, says(&loads, 7, func(e *runtime.Entry) { e.SetTTL(time.Until(time.Now().Add(-time.Minute))) }))
			want(t, got, err, 7)
		}
		if loads != 2 {
			t.Errorf("%d loads", loads)
		}
	})
}
