package pgxbus

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/cachegen/cachegen/drivers"
)

// What others send is kept for as long and as much as a message of this project can need, however
// it was cut: everybody who may connect may notify.
func TestUnfinishedMessagesAreBounded(t *testing.T) {
	now := time.Now()
	message := bytes.Repeat([]byte("x"), 3*maxPart)
	parts := split(message)

	var a assembly
	a.add(parts[0], now)
	a.add(parts[1], now)
	if len(a.message) != 2*maxPart {
		t.Fatalf("%d bytes are kept", len(a.message))
	}
	if _, whole := a.add(parts[2], now.Add(partsWait+1)); whole || a.message != nil {
		t.Errorf("a part that came too late: %v, and %d bytes are kept", whole, len(a.message))
	}
	a.add(parts[0], now)
	if a.expire(now.Add(partsWait + 1)); a.message != nil {
		t.Errorf("%d bytes are kept although nothing comes", len(a.message))
	}

	// One that never ends: the count says a billion, or the parts are longer than they may be.
	for _, count := range []string{"1000000000", "2845"} {
		a = assembly{}
		for i := range 4 * maxParts {
			a.add(strings.Join([]string{strconv.Itoa(i), count, strings.SplitN(parts[0], ":", 3)[2]}, ":"), now)
			if len(a.message) > maxMessage+maxPart {
				t.Fatalf("of %s parts %d bytes are kept", count, len(a.message))
			}
		}
	}
	var got []byte
	a = assembly{}
	for _, part := range parts {
		got, _ = a.add(part, now)
	}
	if !bytes.Equal(got, message) {
		t.Errorf("afterwards a message has %d bytes", len(got))
	}
}

func TestAMessageThatIsTooLongIsRefused(t *testing.T) {
	pool, err := pgxpool.New(t.Context(), "postgres://localhost:1/x")
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	b := New(pool, Options{})
	defer b.Close()
	if err := b.Publish(t.Context(), "c", make([]byte, maxMessage+1)); !errors.Is(err, drivers.ErrRefused) {
		t.Errorf("published: %v", err)
	}
}
