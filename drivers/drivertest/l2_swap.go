package drivertest

import (
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

// swapping is a store that is a Swapper.
type swapping struct {
	l2
	drivers.Swapper
}

// swap checks which of swaps are performed.
func (s swapping) swap(want []bool, swaps ...drivers.Swap) {
	s.t.Helper()
	done, err := s.SwapMany(s.ctx, swaps)
	must(s.t, "SwapMany", err)
	if len(done) != len(want) {
		s.t.Fatalf("SwapMany of %d swaps returned %d results", len(swaps), len(done))
	}
	for i := range want {
		if done[i] != want[i] {
			s.t.Errorf("swap %d, of %s for %s: done %v, want %v", i, brief(swaps[i].Old), brief(swaps[i].New), done[i], want[i])
		}
	}
}

var (
	yes = []bool{true}
	no  = []bool{false}
)

func l2Swapper(run func(string, func(*testing.T, l2))) {
	swap := func(name string, test func(t *testing.T, s swapping)) {
		run("Swap/"+name, func(t *testing.T, s l2) { test(t, swapping{s, mustHave(drivers.SwapperOf(s.L2))}) })
	}
	swap("NoSwaps", func(t *testing.T, s swapping) { s.swap(nil) })
	swap("OnlyWhatItExpects", swapExpected)
	swap("AbsentAndEmpty", swapAbsent)
	swap("Removes", swapRemoves)
	swap("MixedBatch", swapMixed)
	swap("LargeBatch", swapBatch)
	swap("TTL", swapTTL)
	swap("ValuesAreBytes", swapBytes)
	swap("CallerOwnsValues", swapOwnership)
	swap("Unleased", swapUnleased)
	swap("OneWinner", swapOneWinner)
	swap("NoLostUpdate", swapCounter)
}

func swapExpected(t *testing.T, s swapping) {
	a := s.key("a")
	s.set(drivers.Item{Key: a, Value: []byte("one")})
	s.swap(no, drivers.Swap{Key: a, Old: []byte("two"), New: []byte("three")})
	s.swap(no, drivers.Swap{Key: a, Old: []byte("on"), New: []byte("three")})
	s.swap(no, drivers.Swap{Key: a, Old: []byte("one "), New: []byte("three")})
	s.swap(no, drivers.Swap{Key: a, Old: []byte("ONE"), New: []byte("three")})
	s.swap(no, drivers.Swap{Key: a, New: []byte("three")})
	s.expect(a, []byte("one"))
	s.swap(yes, drivers.Swap{Key: a, Old: []byte("one"), New: []byte("two")})
	s.expect(a, []byte("two"))
	s.swap(no, drivers.Swap{Key: a, Old: []byte("one"), New: []byte("three")})
	s.swap(yes, drivers.Swap{Key: a, Old: []byte("two"), New: []byte("two")})
	s.expect(a, []byte("two"))
}

func swapAbsent(t *testing.T, s swapping) {
	a, b := s.key("a"), s.key("b")
	s.swap(no, drivers.Swap{Key: a, Old: []byte{}, New: []byte("x")})
	s.swap(no, drivers.Swap{Key: a, Old: []byte("x"), New: []byte("y")})
	s.expect(a, nil)
	s.swap(yes, drivers.Swap{Key: a, New: []byte{}})
	s.expect(a, []byte{})
	s.swap(no, drivers.Swap{Key: a, New: []byte("x")})
	s.swap(yes, drivers.Swap{Key: a, Old: []byte{}, New: []byte("x")})
	s.expect(a, []byte("x"))
	s.swap(yes, drivers.Swap{Key: b})
	s.expect(b, nil)
}

func swapRemoves(t *testing.T, s swapping) {
	a := s.key("a")
	s.set(drivers.Item{Key: a, Value: []byte("x"), TTL: time.Hour})
	s.swap(no, drivers.Swap{Key: a, Old: []byte("y")})
	s.swap(no, drivers.Swap{Key: a})
	s.expect(a, []byte("x"))
	s.swap(yes, drivers.Swap{Key: a, Old: []byte("x")})
	s.expect(a, nil)
	s.swap(no, drivers.Swap{Key: a, Old: []byte("x")})
}

func swapMixed(t *testing.T, s swapping) {
	s.set(
		drivers.Item{Key: s.key("changed"), Value: []byte("1")},
		drivers.Item{Key: s.key("kept"), Value: []byte("1")},
		drivers.Item{Key: s.key("removed"), Value: []byte("1")},
	)
	s.swap([]bool{true, false, true, true, false, false},
		drivers.Swap{Key: s.key("changed"), Old: []byte("1"), New: []byte("2")},
		drivers.Swap{Key: s.key("kept"), Old: []byte("0"), New: []byte("2")},
		drivers.Swap{Key: s.key("added"), New: []byte("2"), TTL: time.Hour},
		drivers.Swap{Key: s.key("removed"), Old: []byte("1")},
		drivers.Swap{Key: s.key("absent"), Old: []byte("1"), New: []byte("2")},
		drivers.Swap{Key: s.key("gone"), Old: []byte("1")},
	)
	for name, want := range map[string][]byte{
		"changed": []byte("2"), "kept": []byte("1"), "added": []byte("2"), "removed": nil, "absent": nil, "gone": nil,
	} {
		s.expect(s.key(name), want)
	}
}

func swapBatch(t *testing.T, s swapping) {
	n := s.limit.batch(1000)
	var items []drivers.Item
	var swaps []drivers.Swap
	var want []bool
	for i := range n {
		key := s.key(fmt.Sprint(i))
		items = append(items, drivers.Item{Key: key, Value: fmt.Append(nil, i%3)})
		swaps = append(swaps, drivers.Swap{Key: key, Old: []byte("1"), New: fmt.Append(nil, "new", i)})
		want = append(want, i%3 == 1)
	}
	s.set(items...)
	s.swap(want, swaps...)
	for i, item := range items {
		if i%100 < 3 {
			value := item.Value
			if want[i] {
				value = swaps[i].New
			}
			s.expect(item.Key, value)
		}
	}
}

func swapTTL(t *testing.T, s swapping) {
	const ttl = 50 * time.Millisecond
	// The swap must come before the end of the TTL, so the TTL is longer for a slow store.
	kept := drivers.Item{Key: s.key("kept"), Value: []byte("1"), TTL: 200 * time.Millisecond}
	for swapped := false; !swapped; kept.TTL *= 4 {
		s.set(kept, drivers.Item{Key: s.key("witness"), Value: []byte("1"), TTL: kept.TTL})
		done, err := s.SwapMany(s.ctx, []drivers.Swap{{Key: kept.Key, Old: []byte("1"), New: []byte("2")}})
		must(t, "SwapMany", err)
		if swapped = done[0]; !swapped && kept.TTL > patience {
			t.Fatalf("swapped nothing within %s", kept.TTL)
		}
	}
	s.set(drivers.Item{Key: s.key("ended"), Value: []byte("1")})
	s.swap(yes, drivers.Swap{Key: s.key("ended"), Old: []byte("1"), New: []byte("2"), TTL: ttl})
	s.swap(yes, drivers.Swap{Key: s.key("added"), New: []byte("2"), TTL: ttl})
	s.waitAbsent(s.key("ended"))
	s.waitAbsent(s.key("added"))
	s.waitAbsent(s.key("witness"))
	s.expect(s.key("kept"), []byte("2"))
	// An expired item is absent, whether the store has removed it or not.
	s.swap(no, drivers.Swap{Key: s.key("ended"), Old: []byte("2"), New: []byte("3")})
	s.swap(yes, drivers.Swap{Key: s.key("ended"), New: []byte("3")})
	s.expect(s.key("ended"), []byte("3"))
}

func swapBytes(t *testing.T, s swapping) {
	values := []string{everyByte(), "\x00", "a\x00b", "a\x00c", "a", "A", "a ", "ä", "a\u0308", "\xff", "\xfe", "1", "01", "1.0", "null", "{}", "{ }"}
	for i, name := range s.awkwardNames() {
		key, old, new := s.key(name), []byte(values[i%len(values)]), []byte(values[(i+1)%len(values)])
		s.set(drivers.Item{Key: key, Value: old})
		s.swap(no, drivers.Swap{Key: key, Old: new, New: []byte("no")})
		s.swap(yes, drivers.Swap{Key: key, Old: old, New: new})
		s.expect(key, new)
	}
}

func swapOwnership(t *testing.T, s swapping) {
	a := s.key("a")
	value := []byte("mine")
	s.swap(yes, drivers.Swap{Key: a, New: value})
	copy(value, "XXXX")
	s.expect(a, []byte("mine"))
}

// swapOneWinner: of many concurrent swaps with the same expected value, one is performed, and
// its value is stored; for each kind of swap.
func swapOneWinner(t *testing.T, s swapping) {
	const callers, rounds = 12, 8
	handles := s.handles(3)
	for round := range rounds {
		changed, added, pulled := s.key(fmt.Sprint("c", round)), s.key(fmt.Sprint("a", round)), s.key(fmt.Sprint("p", round))
		s.set(drivers.Item{Key: changed, Value: []byte("old")}, drivers.Item{Key: pulled, Value: []byte("old")})
		results := make([][]bool, callers)
		start := make(chan struct{})
		var wg sync.WaitGroup
		for c := range callers {
			swapper := mustHave(drivers.SwapperOf(handles[c%len(handles)]))
			wg.Go(func() {
				<-start
				done, err := swapper.SwapMany(s.ctx, []drivers.Swap{
					{Key: changed, Old: []byte("old"), New: fmt.Append(nil, c)},
					{Key: added, New: fmt.Append(nil, c), TTL: time.Hour},
					{Key: pulled, Old: []byte("old")},
				})
				if err != nil || len(done) != 3 {
					t.Errorf("SwapMany: %v, %v", done, err)
					return
				}
				results[c] = done
			})
		}
		close(start)
		wg.Wait()
		if t.Failed() {
			return
		}
		for i, key := range []string{changed, added, pulled} {
			winners := 0
			for c, done := range results {
				if !done[i] {
					continue
				}
				winners++
				want := fmt.Append(nil, c)
				if key == pulled {
					want = nil
				}
				s.expect(key, want)
			}
			if winners != 1 {
				t.Errorf("%s: %d of %d callers were told that they swapped", key, winners, callers)
			}
		}
	}
}

// swapCounter: concurrent increments by compare and swap are all counted.
func swapCounter(t *testing.T, s swapping) {
	const workers, each = 6, 15
	handles := s.handles(3)
	key := s.key("counter")
	s.set(drivers.Item{Key: key, Value: []byte("0")})
	var attempts atomic.Int64
	var wg sync.WaitGroup
	for w := range workers {
		store := handles[w%len(handles)]
		wg.Go(func() {
			for done := 0; done < each; {
				attempts.Add(1)
				values, err := store.GetMany(s.ctx, []string{key})
				if err != nil {
					t.Errorf("GetMany: %v", err)
					return
				}
				n, _ := strconv.Atoi(string(values[0]))
				swapped, err := mustHave(drivers.SwapperOf(store)).SwapMany(s.ctx, []drivers.Swap{{Key: key, Old: values[0], New: fmt.Append(nil, n+1)}})
				if err != nil {
					t.Errorf("SwapMany: %v", err)
					return
				}
				if swapped[0] {
					done++
				}
			}
		})
	}
	wg.Wait()
	s.expect(key, fmt.Append(nil, workers*each))
	t.Logf("%d swaps took %d attempts", workers*each, attempts.Load())
}
