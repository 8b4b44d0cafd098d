package history

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/drivers"
)

// A record is the counter's in a tier.
type record struct {
	*Counter
	value   []byte
	until   time.Time
	swaps   int
	answer  error    // of the next swap
	late    []func() // swaps that take effect when they are called
	hold    bool     // swaps take effect late
	cleared int
	during  func()
}

func newRecord() *record {
	r := new(record)
	r.Counter = &Counter{
		Key: "!h:1", Every: time.Second, Go: func(f func()) { f() }, WentBack: func() {
			r.cleared++
			if r.during != nil {
				r.during()
			}
		},
		Swap: func(s drivers.Swap) (bool, error) {
			r.swaps++
			apply := func() bool {
				if !bytes.Equal(r.value, s.Old) || (r.value == nil) != (s.Old == nil) {
					return false
				}
				r.value, r.until = s.New, time.Now().Add(s.TTL)
				return true
			}
			if r.hold {
				r.late = append(r.late, func() { apply() })
				return false, errors.New("no answer")
			}
			swapped := apply()
			return swapped && r.answer == nil, r.answer
		},
	}
	return r
}

func (r *record) number() uint64 {
	if r.value == nil {
		return 0
	}
	return binary.BigEndian.Uint64(r.value)
}

// read reads the record.
func (r *record) read() error {
	if r.value != nil && !time.Now().Before(r.until) {
		r.value = nil
	}
	return r.Saw(r.Look(), r.value)
}

func (r *record) wantRead(t *testing.T, wanted error, cleared int) {
	t.Helper()
	if err := r.read(); err != wanted || r.cleared != cleared {
		t.Fatalf("%v, cleared %d times, want %v, %d; the number is %d", err, r.cleared, wanted, cleared, r.number())
	}
}

// race R46: a number that is lower than it was, or absent, says that the tier has gone back.
func TestANumberThatIsLowerSaysThatTheTierHasGoneBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecord()
		r.wantRead(t, nil, 0)
		for range 5 {
			time.Sleep(time.Second)
			r.wantRead(t, nil, 0)
		}
		before := r.value
		time.Sleep(time.Second)
		r.wantRead(t, nil, 0)
		highest := r.number()
		r.value = before
		r.wantRead(t, ErrWentBack, 1)
		if r.number() <= highest { // or the same could not be noticed again
			t.Errorf("the number is %d after %d", r.number(), highest)
		}
		r.wantRead(t, nil, 1)
		r.value = before
		r.wantRead(t, ErrWentBack, 2)
		r.wantRead(t, nil, 2)
		r.value = nil
		r.wantRead(t, ErrWentBack, 3)
		r.wantRead(t, nil, 3)
		r.value = []byte("foreign")
		r.wantRead(t, ErrWentBack, 4)
		r.wantRead(t, nil, 4)
		r.value = bytes.Repeat([]byte{0xFF}, 8)
		r.wantRead(t, ErrWentBack, 5)
		for range 5 {
			time.Sleep(time.Second)
			r.wantRead(t, nil, 5)
		}
		if r.number() <= highest || r.number() > 100 {
			t.Errorf("the number is %d", r.number())
		}
	})
}

func TestANumberIsRaisedOnlyWhileItIsReadAndNotTooOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecord()
		for range 100 {
			r.wantRead(t, nil, 0)
			time.Sleep(100 * time.Millisecond)
		}
		if r.swaps != 10 || r.number() != 10 {
			t.Errorf("%d times in 10 s, the number is %d", r.swaps, r.number())
		}
		time.Sleep(time.Hour)
		if r.swaps != 10 {
			t.Error("nobody has read it")
		}
		r.wantRead(t, nil, 0)
		time.Sleep(counterTTL + time.Hour) // the tier forgets it by itself
		r.wantRead(t, nil, 0)
		if r.number() != 12 {
			t.Errorf("the number is %d", r.number())
		}
	})
}

// A swap whose answer is lost may have been carried out, or is later.
func TestASwapThatIsUnclearIsNoReasonToClear(t *testing.T) {
	for name, lose := range map[string]func(r *record){
		"it took effect":       func(r *record) { r.answer = errors.New("no answer") },
		"it takes effect late": func(r *record) { r.hold = true },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRecord()
				for range 3 {
					r.wantRead(t, nil, 0)
					time.Sleep(time.Second)
				}
				lose(r)
				for range 3 {
					r.wantRead(t, nil, 0)
					time.Sleep(time.Second)
				}
				r.answer, r.hold = nil, false
				for _, f := range r.late {
					f()
					r.wantRead(t, nil, 0)
				}
				r.wantRead(t, nil, 0)
				for _, f := range r.late { // twice
					f()
				}
				for range 3 {
					r.wantRead(t, nil, 0)
					time.Sleep(time.Second)
				}
				r.value = nil
				r.wantRead(t, ErrWentBack, 1)
			})
		})
	}
}

// Until the store has been cleared, no read is believed, and nobody else clears it.
func TestWhileTheStoreIsClearedNoReadIsBelieved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecord()
		r.wantRead(t, nil, 0)
		time.Sleep(time.Second)
		r.wantRead(t, nil, 0)
		old := r.Look()
		r.during = func() {
			if err := r.Saw(r.Look(), r.value); err != ErrWentBack {
				t.Error(err)
			}
		}
		value := r.value
		r.value = nil
		r.wantRead(t, ErrWentBack, 1)
		r.during = nil
		if err := r.Saw(old, value); err != ErrWentBack || r.cleared != 1 { // that began before
			t.Error(err, r.cleared)
		}
		r.wantRead(t, nil, 1)
	})
}

// A read that began before the number was raised finds the one before.
func TestAReadThatBeganBeforeTheRaiseIsBelieved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecord()
		r.wantRead(t, nil, 0)
		look, value := r.Look(), r.value
		time.Sleep(time.Second)
		r.wantRead(t, nil, 0)
		if err := r.Saw(look, value); err != nil || r.cleared != 0 {
			t.Error(err, r.cleared)
		}
	})
}
