package budget

import (
	"context"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"
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
