package ratelog

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestOneMessageOfATextIsLetThroughEachSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l Limiter
		if n, ok := l.Allow("a"); !ok || n != 0 {
			t.Fatal(n, ok)
		}
		for range 3 {
			if _, ok := l.Allow("a"); ok {
				t.Fatal("a second one in the same second")
			}
		}
		if _, ok := l.Allow("b"); !ok {
			t.Fatal("another text is suppressed")
		}
		time.Sleep(time.Second + 1)
		if n, ok := l.Allow("a"); !ok || n != 3 {
			t.Fatal(n, ok)
		}
	})
}
