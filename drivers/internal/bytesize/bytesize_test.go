package bytesize

import (
	"errors"
	"math"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestParse(t *testing.T) {
	for text, want := range map[string]uint64{
		"": 0, "1": 1, "1b": 1, "100mb": 100 << 20, "100MB": 100 << 20, "100 MiB": 100 << 20, " 2kb ": 2 << 10,
		"3kib": 3 << 10, "4GB": 4 << 30, "5gib": 5 << 30, "6tb": 6 << 40, "9223372036854775807": math.MaxInt64,
	} {
		got, err := Parse("MaxSize", text)
		if err != nil || got != want {
			t.Errorf("%q: %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"100 potatoes", "mb", "-1mb", "1.5gb", "0", "8388608tb"} {
		_, err := Parse("MaxSize", text)
		if !errors.Is(err, ErrSize) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
