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
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

const (
	minPause = 10 * time.Millisecond
	maxPause = time.Second
	// maxStalls is the number of requests in a row, without any item processed, after
	// which an operation fails.
	maxStalls = 12
)

var errThrottled = errors.New("the table is throttled")

// untilProcessed calls f until no item is left unprocessed. total is the number of items; f
// sends a request and returns how many are left.
func untilProcessed(ctx context.Context, total int, f func() (left int, err error)) error {
	pause, stalls := minPause, 0
	for before := total; ; {
		left, err := f()
		if err != nil || left == 0 {
			return err
		}
		if left < before {
			stalls = 0
		} else if stalls++; stalls == maxStalls {
			return fmt.Errorf("%w: %d requests in a row processed none of the remaining %d keys; raise its capacity", errThrottled, stalls, left)
		}
		before = left
		// Random, so that processes that were throttled together do not retry together.
		timer := time.NewTimer(pause/2 + rand.N(pause/2))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("%w with %d keys unprocessed: %w", ctx.Err(), left, errThrottled)
		}
		pause = min(2*pause, maxPause)
	}
}

// once keeps the SDK from sending a write again that DynamoDB may have performed. The second
// request would bring back a value that has been deleted since the first; or it would find
// the effect of the first and report that its condition fails. A deletion of keys may be sent
// again: that costs no more than a load.
func once(o *awsdynamodb.Options) { o.Retryer = unambiguous{o.Retryer} }

// unambiguous retries only requests that DynamoDB has not begun to perform.
type unambiguous struct{ aws.Retryer }

func (u unambiguous) IsErrorRetryable(err error) bool {
	var dial *net.OpError
	notBegun := throttles.IsErrorThrottle(err) == aws.TrueTernary || errors.As(err, &dial) && dial.Op == "dial"
	return notBegun && u.Retryer.IsErrorRetryable(err)
}

// GetAttemptToken makes unambiguous an aws.RetryerV2, as the retryers of the SDK are.
func (u unambiguous) GetAttemptToken(ctx context.Context) (func(error) error, error) {
	if v2, ok := u.Retryer.(aws.RetryerV2); ok {
		return v2.GetAttemptToken(ctx)
	}
	return u.Retryer.GetInitialToken(), nil
}

var throttles = retry.IsErrorThrottles(retry.DefaultThrottles)
