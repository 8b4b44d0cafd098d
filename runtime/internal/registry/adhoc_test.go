package registry

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

var (
	ints  = reflect.TypeFor[int]()
	texts = reflect.TypeFor[string]()
)

func TestAnAdHocCacheHasOneTypeOfKeysAndOneOfValues(t *testing.T) {
	var k Patterns
	claim := func(prefix, name string, key, value reflect.Type) error {
		return k.ClaimAdHoc(new(Transaction), prefix, name, key, value, true)
	}
	for _, err := range []error{
		claim("@!prices:", "prices", ints, texts), claim("@!prices:", "prices", ints, texts),
		claim("@eu@!prices:", "prices", texts, ints), claim("@!rates:", "rates", texts, texts),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	for _, types := range [][2]reflect.Type{{texts, texts}, {ints, ints}} {
		err := claim("@!prices:", "prices", types[0], types[1])
		if err == nil || !strings.Contains(err.Error(), "Cache[int, string]") || !strings.Contains(err.Error(), fmt.Sprintf("Cache[%v, %v]", types[0], types[1])) {
			t.Errorf("the error does not name both: %v", err)
		}
	}
	if claim("", "", ints, ints) == nil {
		t.Error("a cache without a name is taken")
	}
}

// A program may have a namespace for each of its users.
func TestFewAdHocCachesAreRemembered(t *testing.T) {
	var k Patterns
	for i := range 2 * maxAdHoc {
		if err := k.ClaimAdHoc(new(Transaction), fmt.Sprintf("@%d@!a:", i), "a", ints, ints, i%2 == 0); err != nil {
			t.Fatal(err)
		}
	}
	if len(k.adHoc) != maxAdHoc {
		t.Errorf("%d are remembered", len(k.adHoc))
	}
	if k.ClaimAdHoc(new(Transaction), "@1@!a:", "a", ints, texts, false) != nil || k.ClaimAdHoc(new(Transaction), "@0@!a:", "a", ints, texts, false) == nil {
		t.Error("what is defined is remembered, and nothing else")
	}
}
