package clock

import (
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
