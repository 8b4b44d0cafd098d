package budget

import (
	"context"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cachegen/cachegen/runtime/internal/clock"
)

func TestTheOperationsOfAWriteShareItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		write := Begin(t.Context(), Write{Function: "users.Repo.Save"})
		time.Sleep(300 * time.Millisecond)
		inner := Begin(write, Write{Function: "another"})
		tier, rest := Start(inner, time.Second, 250*time.Millisecond)
		if Left(tier) != 450*time.Millisecond || Left(rest) != 700*time.Millisecond || Of(rest).Function != "users.Repo.Save" {
			t.Error(Left(tier), Left(rest), Of(rest).Function)
		}
		time.Sleep(time.Second)
		if Left(tier) != 0 || Left(rest) != 0 {
			t.Error(Left(tier), Left(rest))
		}
	})
}

func TestAWriteOfItsOwnBeginsNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		tier, rest := Start(ctx, time.Second, 0)
		if Left(ctx) != math.MaxInt64 || Left(tier) != time.Second || Left(rest) != time.Second || Of(ctx).Function != "" {
			t.Error(Left(ctx), Left(tier), Left(rest))
		}
	})
}

func TestWhatIsNotTriedHasExceededItsDeadline(t *testing.T) {
	if !errors.Is(ErrSpent, context.DeadlineExceeded) || !Spent(ErrSpent) || Spent(context.DeadlineExceeded) {
		t.Error(ErrSpent)
	}
}

func TestWhoGetsAnAnswerHasItsTimeAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		write := Begin(t.Context(), Write{})
		tier, rest := Start(write, time.Second, 250*time.Millisecond)
		other, _ := Start(write, time.Second, 0)
		time.Sleep(600 * time.Millisecond)
		Renew(tier)
		Renew(write)
		if Left(tier) != 750*time.Millisecond || Left(rest) != time.Second || Left(other) != 400*time.Millisecond {
			t.Error(Left(tier), Left(rest), Left(other))
		}
	})
}

func TestWhatHadNoTimeIsNotToldBesideWhatHasFailed(t *testing.T) {
	other := errors.New("away")
	for _, test := range []struct {
		errs []error
		want string
	}{
		{[]error{nil, nil}, ""},
		{[]error{nil, ErrSpent}, ErrSpent.Error()},
		{[]error{other, nil, ErrSpent}, "away"},
	} {
		got := ""
		if err := Join(test.errs...); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%q: %q", test.errs, got)
		}
	}
}

func TestTheOperationsOfAReadShareItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := clock.Mono()
		time.Sleep(300 * time.Millisecond)
		ctx, cancel := context.WithCancel(Read(t.Context(), began, time.Second))
		if Left(ctx) != 700*time.Millisecond || Within(ctx, clock.Mono(), time.Hour) != ctx {
			t.Error(Left(ctx))
		}
		Answered(ctx)
		if Left(ctx) != time.Second {
			t.Error(Left(ctx))
		}
		time.Sleep(2 * time.Second)
		if Left(ctx) != 0 {
			t.Error(Left(ctx))
		}
		cancel()
		if !errors.Is(ctx.Err(), context.Canceled) {
			t.Error(ctx.Err())
		}
	})
}

func TestAReadWithoutABudgetBeginsNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := Within(t.Context(), clock.Mono(), time.Second)
		if Left(ctx) != time.Second {
			t.Error(Left(ctx))
		}
		tier, _ := Start(t.Context(), time.Second, 0)
		time.Sleep(100 * time.Millisecond)
		Answered(tier) // of a write: that is for whoever writes to say
		if Within(tier, clock.Mono(), time.Hour) != tier || Left(tier) != 900*time.Millisecond {
			t.Error(Left(tier))
		}
	})
}

func TestABudgetOfAReadIsOneAllocation(t *testing.T) {
	ctx := t.Context()
	began := clock.Mono()
	var left time.Duration
	n := testing.AllocsPerRun(100, func() { left += Left(Read(ctx, began, time.Hour)) })
	if n > 1 {
		t.Errorf("%v allocations", n)
	}
}
