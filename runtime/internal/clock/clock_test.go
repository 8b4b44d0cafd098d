package clock

import (
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestNowIsNeverFurtherBehindThanLag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Coarse
		defer c.Stop()
		for _, pause := range []time.Duration{0, 1, time.Millisecond, tick, tick + 1, time.Second, time.Hour, 365 * 24 * time.Hour} {
			for range 50 {
				time.Sleep(pause)
				if last := c.Last(); last != Never && time.Duration(time.Now().UnixNano()-last) > Lag {
					t.Fatalf("after a pause of %v Last is further behind", pause)
				}
				if behind := time.Duration(time.Now().UnixNano() - c.Now()); behind < 0 || behind > Lag {
					t.Fatalf("after a pause of %v it is %v behind", pause, behind)
				}
			}
		}
	})
}

func TestAnIdleClockRunsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Coarse
		c.Now()
		time.Sleep((idle + 1) * tick)
		synctest.Wait()
		if c.now.Load() != 0 || c.Last() != Never {
			t.Error("it still ticks")
		}
	}) // the bubble would not end with a goroutine left
}

func TestStopTwice(t *testing.T) {
	var c Coarse
	c.Stop()
	c.Now()
	c.Stop()
}

func TestTimesBeyondTheCalendarAreNever(t *testing.T) {
	for _, test := range []struct {
		t    int64
		d    time.Duration
		want int64
	}{{5, 3, 8}, {5, time.Duration(Never), Never}, {Never, 0, Never}, {Never - 1, 1, Never}, {-5, 2, -3}} {
		if got := Add(test.t, test.d); got != test.want {
			t.Errorf("%d + %d is %d, want %d", test.t, test.d, got, test.want)
		}
	}
	if Multiply(4, time.Second) != 4*time.Second || Multiply(2, time.Duration(Never)) != time.Duration(Never) {
		t.Error("Multiply")
	}
}

// What this process counts never goes back and misses nothing of what the machine's clock
// has been set forward; what must not end early does not know of it.
func TestAClockThatIsSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := Now()
		if Wall() != began || Mono() != began {
			t.Fatal("they begin apart")
		}
		for _, test := range []struct{ by, now time.Duration }{
			{time.Hour, time.Hour}, {-time.Hour, time.Hour}, {2 * time.Hour, 2 * time.Hour}, {0, 2 * time.Hour},
			{2*time.Hour + time.Microsecond, 2 * time.Hour}, // no difference
		} {
			defer Set(test.by)()
			if Now() != began+int64(test.now) || Mono() != began || Wall() != began+int64(test.by) {
				t.Errorf("set by %v: %v, %v, %v", test.by, Now()-began, Mono()-began, Wall()-began)
			}
			for _, at := range []int64{0, began, Never - 1, Never} {
				if got := FromWall(ToWall(at)); got != at {
					t.Errorf("set by %v: %d there and back is %d", test.by, at, got)
				}
			}
			if wall := ToWall(Now()); wall-Wall() > tolerance || Wall()-wall > tolerance {
				t.Errorf("set by %v: now is %v away from what the machine's clock shows", test.by, time.Duration(wall-Wall()))
			}
		}
	})
}

func TestNowDoesNotGoBackForAnyGoroutine(t *testing.T) {
	defer Set(0)()
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			last := Now()
			for n := range 10_000 {
				if i == 0 {
					moved.Store(int64(n%7) * int64(time.Minute))
				}
				if t2 := Now(); t2 < last {
					t.Error("it went back")
					return
				} else {
					last = t2
				}
			}
		})
	}
	all.Wait()
}

func TestASpanIsNeverNegativeNorOverflows(t *testing.T) {
	for _, test := range []struct {
		from, to int64
		want     time.Duration
	}{{3, 5, 2}, {5, 3, 0}, {math.MinInt64, Never, math.MaxInt64}, {-5, 5, 10}, {Never, math.MinInt64, 0}} {
		if got := Span(test.from, test.to); got != test.want {
			t.Errorf("from %d to %d: %d", test.from, test.to, got)
		}
	}
}
