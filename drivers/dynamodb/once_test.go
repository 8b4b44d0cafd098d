package dynamodb

import (
	"strings"
	"testing"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/drivertest"
)

// race R45: the SDK sends a request again whose answer it has not got, and so brings back a
// value that has been deleted since.
func TestWritesAreSentOnce(t *testing.T) {
	url := dynalite.Of(t).URL()
	drivertest.L2LostAnswers(t, strings.TrimPrefix(url, "http://"), func(t *testing.T, address string) drivers.L2 {
		return openTable(t, "http://"+address, Options{})
	})
}
