package dynamodb

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

const (
	minPause = 10 * time.Millisecond
	maxPause = time.Second
	// maxStalls is how many answers in a row may have processed nothing.
	maxStalls = 12
)

// patiently calls f, which returns how many of total are left, until none is.
func patiently(ctx context.Context, total int, f func() (left int, err error)) error {
	pause, stalls := minPause, 0
	for before := total; ; {
		left, err := f()
		if err != nil || left == 0 {
			return err
		}
		if left < before {
			stalls = 0
		} else if stalls++; stalls == maxStalls {
			return fmt.Errorf("%d of them were left unprocessed %d times in a row: the table is throttled", left, stalls)
		}
		before = left
		// Those who are throttled together must not come back together.
		timer := time.NewTimer(pause/2 + rand.N(pause/2))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("%w with %d of them unprocessed", ctx.Err(), left)
		}
		pause = min(2*pause, maxPause)
	}
}

// once keeps the SDK from sending a conditional write again that may have been carried
// out: the second attempt would find its own effect and say that the condition fails.
func once(o *sdk.Options) { o.Retryer = unambiguous{o.Retryer} }

// unambiguous retries what DynamoDB has not begun.
type unambiguous struct{ aws.Retryer }

func (u unambiguous) IsErrorRetryable(err error) bool {
	var dial *net.OpError
	notBegun := throttles.IsErrorThrottle(err) == aws.TrueTernary || errors.As(err, &dial) && dial.Op == "dial"
	return notBegun && u.Retryer.IsErrorRetryable(err)
}

// GetAttemptToken is what makes it an aws.RetryerV2, as the SDK's own are.
func (u unambiguous) GetAttemptToken(ctx context.Context) (func(error) error, error) {
	if v2, ok := u.Retryer.(aws.RetryerV2); ok {
		return v2.GetAttemptToken(ctx)
	}
	return u.Retryer.GetInitialToken(), nil
}

var throttles = retry.IsErrorThrottles(retry.DefaultThrottles)
