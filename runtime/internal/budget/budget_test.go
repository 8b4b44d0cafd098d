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
		write := Begin(t.Context(), "users.Repo.Save")
		time.Sleep(300 * time.Millisecond)
		inner := Begin(write, "another")
		tier, rest := Start(inner, time.Second, 250*time.Millisecond)
		if Left(tier) != 450*time.Millisecond || Left(rest) != 700*time.Millisecond || Function(rest) != "users.Repo.Save" {
			t.Error(Left(tier), Left(rest), Function(rest))
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
		if Left(ctx) != math.MaxInt64 || Left(tier) != time.Second || Left(rest) != time.Second || Function(ctx) != "" {
			t.Error(Left(ctx), Left(tier), Left(rest))
		}
	})
}

func TestWhatIsNotTriedHasExceededItsDeadline(t *testing.T) {
	if !errors.Is(ErrSpent, context.DeadlineExceeded) || !Spent(ErrSpent) || Spent(context.DeadlineExceeded) {
		t.Error(ErrSpent)
	}
}
