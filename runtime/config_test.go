package runtime_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/memory"
	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/gen"
	"github.com/cachegen/cachegen/runtime/internal/faketier"
)

func TestNewStoreRefuses(t *testing.T) {
	for wanted, options := range map[string][]runtime.StoreOption{
		"it has no tier":                         {},
		"TTL 0s":                                 {memoryTier(), runtime.TTL(0)},
		"Grace -1s":                              {memoryTier(), runtime.Grace(-time.Second)},
		"Timeout 2s":                             {memoryTier(), runtime.Timeout(2 * time.Second), runtime.HardTimeout(time.Second)},
		"ErrorTTL -1s":                           {memoryTier(), runtime.ErrorTTL(-time.Second)},
		"LockTimeout -1s":                        {memoryTier(), runtime.LockTimeout(-time.Second)},
		"NotFoundTTL -1s":                        {memoryTier(), runtime.NotFoundTTL(-time.Second)},
		"RefreshAfter -1s":                       {memoryTier(), runtime.RefreshAfter(-time.Second)},
		"RefreshAfter 2s":                        {memoryTier(), runtime.RefreshAfter(2 * time.Second), runtime.TTL(2 * time.Second)},
		"RefreshPercent 100":                     {memoryTier(), runtime.RefreshPercent(100)},
		"RefreshPercent -1":                      {memoryTier(), runtime.RefreshPercent(-1)},
		"JitterPercent 100":                      {memoryTier(), runtime.JitterPercent(100)},
		"Jitter 2s":                              {memoryTier(), runtime.Jitter(2 * time.Second), runtime.TTL(2 * time.Second)},
		"L1TTL 3s":                               {memoryTier(), runtime.L1TTL(3 * time.Second), runtime.TTL(2 * time.Second)},
		`prefix "a!"`:                            {memoryTier(), runtime.Prefix("a!")},
		`prefix "a:"`:                            {memoryTier(), runtime.Prefix("a:")},
		"L2Timeout 0s":                           {memoryTier(), runtime.L2Timeout(0)},
		"MaxLoadTime":                            {memoryTier(), runtime.MaxLoadTime(-1)},
		"StampTrust":                             {memoryTier(), runtime.StampTrust(0)},
		"WithCodec: given nil":                   {memoryTier(), runtime.WithCodec(nil)},
		"Bus: given nil":                         {memoryTier(), runtime.Bus(nil)},
		"L1, L2: given nil":                      {runtime.L1(nil), runtime.L2(nil)},
		"MaxBackground -1":                       {memoryTier(), runtime.MaxBackground(-1)},
		"L2SoftTimeout 2s is above L2Timeout 1s": {memoryTier(), runtime.L2SoftTimeout(2 * time.Second)},
		"L1: given more than once":               {memoryTier(), memoryTier()},
		"one of its options: given nil":          {nil},
		"MaxSize":                                {runtime.L1(memory.New(memory.Options{MaxSize: "lots"}))},
	} {
		_, err := runtime.NewStore("s", options...)
		if err == nil || !strings.Contains(err.Error(), wanted) {
			t.Errorf("got %v, want an error with %q", err, wanted)
		}
	}
	if _, err := runtime.NewStore("", memoryTier()); err == nil {
		t.Error("an empty name was accepted")
	}
}

// A pruner of SQL runs from when its tier is made: nobody else can end it.
func TestAStoreThatIsRefusedClosesItsTiers(t *testing.T) {
	for name, options := range map[string][]runtime.StoreOption{
		"a bad option":       {runtime.StampTrust(0)},
		"a bad cache option": {runtime.TTL(-1)},
		"nil":                {runtime.WithCodec(nil)},
		"a nil option":       {nil},
		"a bus that is nil":  {runtime.Bus(nil)},
	} {
		tier := &closing{L2: &faketier.Shared{}}
		if _, err := runtime.NewStore("s", append([]runtime.StoreOption{runtime.L2(tier)}, options...)...); err == nil || tier.closed != 1 {
			t.Errorf("%s: %v, closed %d times", name, err, tier.closed)
		}
	}
}

// A tier that another one has replaced would run on, and nobody could end it.
func TestAStoreThatIsGivenTwoOfAKindClosesBoth(t *testing.T) {
	first, second := &closing{L2: &faketier.Shared{}}, &closing{L2: &faketier.Shared{}}
	for wanted, twice := range map[string][]runtime.StoreOption{
		"L2: given more than once":      {runtime.L2(first), runtime.L2(second)},
		"L2, Bus: given more than once": {runtime.L2(first), runtime.Bus(&faketier.Bus{}), runtime.L2(second), runtime.Bus(&faketier.Bus{})},
		"L2: given nil":                 {runtime.L2(first), runtime.L2(second), runtime.L2(nil)},
	} {
		first.closed, second.closed = 0, 0
		_, err := runtime.NewStore("s", twice...)
		if err == nil || !strings.Contains(err.Error(), wanted) || first.closed != 1 || second.closed != 1 {
			t.Errorf("%s: %v, closed %d and %d times", wanted, err, first.closed, second.closed)
		}
	}
}

type closing struct {
	drivers.L2
	closed int
}

func (c *closing) Close() error { c.closed++; return nil }

func TestNewStoresRefuses(t *testing.T) {
	a, b := named(t, "a"), named(t, "b")
	stores, err := runtime.NewStores(a, b)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := stores.Use("b"); err != nil || s != b {
		t.Errorf("Use(b) = %v, %v", s, err)
	}
	if s := stores.Default(); s != a {
		t.Errorf("Default() = %v", s)
	}
	if _, err := stores.Use("c"); !errors.Is(err, runtime.ErrUnknownStore) {
		t.Errorf("Use(c): %v", err)
	}
	if _, err := open(stores, definition[int, int]{Store: "c"}); !errors.Is(err, runtime.ErrUnknownStore) {
		t.Errorf("Open in store c: %v", err)
	}
}

// Who gets an error has nothing in his hands that he could close.
func TestNewStoresThatFailsClosesWhatItWasGiven(t *testing.T) {
	tiers := make(map[*runtime.Store]*closing)
	store := func(name string) *runtime.Store {
		tier := &closing{L2: &faketier.Shared{}}
		s, err := runtime.NewStore(name, runtime.L2(tier))
		if err != nil {
			t.Fatal(err)
		}
		tiers[s] = tier
		return s
	}
	others := store("others")
	stores, err := runtime.NewStores(others)
	if err != nil {
		t.Fatal(err)
	}
	defer stores.Close(t.Context())
	a := store("a")
	for wanted, given := range map[string][]*runtime.Store{
		`two stores named "b"`:                   {store("b"), store("b")},
		`two stores named "c"`:                   {store("c"), store("d"), store("c")},
		`two stores named "a"`:                   {a, a},
		"a store is nil":                         {store("e"), nil, store("f")},
		"new stores: a store is nil":             {nil},
		`store "others" is part of other stores`: {store("g"), others, store("h")},
		`"others" is part of other stores`:       {others, store("i")},
	} {
		_, err := runtime.NewStores(given[0], given[1:]...)
		if err == nil || !strings.Contains(err.Error(), wanted) {
			t.Errorf("got %v, want an error with %q", err, wanted)
		}
		for _, s := range given {
			switch {
			case s == nil:
			case s == others && tiers[s].closed != 0:
				t.Errorf("%s: the store of other stores is closed", wanted)
			case s != others && tiers[s].closed != 1:
				t.Errorf("%s: store %s is closed %d times", wanted, s.Name(), tiers[s].closed)
			}
		}
	}
	tier := &closing{L2: &faketier.Shared{}}
	if _, err := runtime.OpenStore("s", runtime.L2(tier), runtime.StampTrust(0)); err == nil || tier.closed != 1 {
		t.Errorf("OpenStore: %v, closed %d times", err, tier.closed)
	}
}

func TestOpenStoreMakesTheOnlyStoreTheDefault(t *testing.T) {
	stores, err := runtime.OpenStore("main", memoryTier(), runtime.TTL(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	defer stores.Close(t.Context())
	if s, err := stores.Use("main"); err != nil || s != stores.Default() || s.Name() != "main" {
		t.Error(s, err)
	}
}

func TestSetDefaultsRefuses(t *testing.T) {
	for wanted, options := range map[string][]runtime.StoreOption{
		"L1 is an option of one store":                  {runtime.TTL(time.Minute), memoryTier()},
		"Bus is an option of one store":                 {runtime.Bus(&faketier.Bus{})},
		"L2Timeout is an option of one store":           {runtime.L2Timeout(time.Second)},
		"one of its options: given nil":                 {nil},
		"WithCodec: given nil":                          {runtime.WithCodec(nil)},
		"L2CircuitBreakerDuration -1ns is negative":     {runtime.L2CircuitBreakerDuration(-1)},
		"Grace -1ns is negative":                        {runtime.Grace(-1)},
		"HardTimeout 1s is not above Timeout 2s":        {runtime.Timeout(2 * time.Second), runtime.HardTimeout(time.Second)},
		"store b: L1TTL 2h0m0s is above the TTL 1h0m0s": {runtime.L1TTL(2 * time.Hour)}, // a store's own TTL
	} {
		b, err := runtime.NewStore("b", memoryTier(), runtime.TTL(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		stores, err := runtime.NewStores(named(t, "a"), b)
		if err != nil {
			t.Fatal(err)
		}
		defer stores.Close(t.Context())
		if err := stores.SetDefaults(append(options, runtime.TTL(3*time.Hour))...); err == nil || !strings.Contains(err.Error(), wanted) {
			t.Errorf("got %v, want an error with %q", err, wanted)
		}
	}
	stores, err := runtime.OpenStore("b", memoryTier())
	if err != nil {
		t.Fatal(err)
	}
	defer stores.Close(t.Context())
	if err := stores.SetDefaults(runtime.L1TTL(2 * time.Hour)); err != nil { // functions may have a longer TTL than the default
		t.Fatal(err)
	}
	if _, err := open(stores, definition[int, int]{Name: "x.Load", Store: "b", Options: []runtime.Option{runtime.TTL(3 * time.Hour)}}); err != nil {
		t.Fatal(err)
	}
	if err := stores.SetDefaults(runtime.TTL(time.Minute)); err == nil || !strings.Contains(err.Error(), "x.Load has been opened in store b already") {
		t.Error("defaults that an open cache does not get:", err)
	}
}

// A contradiction between levels is seen where a cache is opened.
func TestNewCacheRefuses(t *testing.T) {
	s := newStore(t, memoryTier(), runtime.TTL(time.Minute), runtime.L1TTL(30*time.Second))
	for wanted, o := range map[string]runtime.Option{
		"L1TTL 30s is above the TTL 10s":           runtime.TTL(10 * time.Second),
		"TTL 1m0s is not above Jitter 1m0s":        runtime.Jitter(time.Minute),
		"RefreshAfter 1h0m0s is not below the TTL": runtime.RefreshAfter(time.Hour),
		"TTL 0s is not positive":                   runtime.TTL(0),
	} {
		if _, err := runtime.NewCache[int, int](s, "values", o); err == nil || !strings.Contains(err.Error(), wanted) {
			t.Errorf("got %v, want an error with %q", err, wanted)
		}
	}
	// What was given last holds, also over the other form.
	newCache[int, int](t, s, runtime.RefreshAfter(time.Hour), runtime.RefreshPercent(80), runtime.Jitter(time.Hour), runtime.JitterPercent(10))
	newCache[int, int](t, s, runtime.TTL(runtime.Forever), runtime.RefreshAfter(time.Hour), runtime.Jitter(time.Hour))
}

func named(t *testing.T, name string) *runtime.Store {
	t.Helper()
	s, err := runtime.NewStore(name, memoryTier())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(context.Background()) })
	return s
}

func TestAnUnboundCacheSaysSo(t *testing.T) {
	c := declare(definition[int, int]{Name: "users.FindUser"})
	ctx := context.Background()
	load := func(context.Context) (int, error) { return 1, nil }
	for _, c := range []*runtime.Cache[int, int]{c, {}} {
		_, errLoad := c.GetOrSet(ctx, 1, load)
		_, _, errGet := c.Get(ctx, 1)
		for _, err := range []error{errLoad, errGet, c.Set(ctx, 1, 1), c.Delete(ctx, 1), c.Expire(ctx, 1), c.Clear(ctx), c.Store().DeleteByTag(ctx, "x")} {
			if !errors.Is(err, runtime.ErrNotBound) {
				t.Errorf("got %v, want ErrNotBound", err)
			}
		}
		if _, ok := gen.HitInt(t.Context(), c, 1); ok {
			t.Error("a hit without a store")
		}
	}
	if _, err := c.GetOrSet(ctx, 1, load); !strings.Contains(err.Error(), "users.FindUser") {
		t.Errorf("%v does not name the function", err)
	}
	stores, err := runtime.NewStores(named(t, "a"))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Untyped().Bind(stores); err != nil {
		t.Fatal(err)
	}
	got, err := c.GetOrSet(ctx, 1, load)
	want(t, got, err, 1)
}

func TestNilIsRefusedWithAName(t *testing.T) {
	var none context.Context
	runtime.EntryOf(none).SetTTL(0)
	if text := new(runtime.PartialError).Error(); text == "" {
		t.Error("an empty text")
	}
	c := newCache[int, int](t, newStore(t, memoryTier()))
	if _, err := c.GetOrSet(t.Context(), 1, nil); err == nil || !strings.Contains(err.Error(), "loader is nil") {
		t.Errorf("GetOrSet without a loader: %v", err)
	}
}

// Two functions whose keys are written alike would get each other's values. The
// generator sees that where both are in one run; here it is seen at the latest.
func TestTwoFunctionsMayNotShareTheirKeys(t *testing.T) {
	stores, err := runtime.NewStores(newStore(t, memoryTier()))
	if err != nil {
		t.Fatal(err)
	}
	open := func(name, namespace, pattern string) error {
		_, err := open(stores, definition[string, string]{Name: name, Namespace: namespace, Pattern: pattern})
		return err
	}
	for _, d := range [][3]string{
		{"a.Load", "", "name:{id}"},
		{"a.Load", "", "name:{id}"},        // another handle to the same
		{"b.Load", "users", "name:{name}"}, // another namespace
		{"b.Load", "", "name:v{id}"},
		{"c.Load", "", "name:{id}:x"},
	} {
		if err := open(d[0], d[1], d[2]); err != nil {
			t.Errorf("%v: %v", d, err)
		}
	}
	err = open("b.Load", "", "name:{name}")
	if err == nil || !strings.Contains(err.Error(), "a.Load") || !strings.Contains(err.Error(), "name:{id}") {
		t.Errorf("got %v, want an error that names the other function and its key", err)
	}
}
