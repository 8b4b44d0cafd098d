package teams

import (
	"fmt"
	"testing"
	"testing/quick"
)

// readsBack checks that a key's text is parsed to the key.
func readsBack[K interface {
	comparable
	fmt.Stringer
}](t *testing.T, parse func(string) (K, error), key K) bool {
	t.Helper()
	back, err := parse(key.String())
	if err != nil || back != key {
		t.Errorf("%q is read back as %+v, %v, want %+v", key, back, err, key)
		return false
	}
	return true
}

func TestKeysReadBack(t *testing.T) {
	for name, property := range map[string]any{
		"user":    func(id int64) bool { return readsBack(t, ParseUserKey, UserKey{ID: id}) },
		"members": func(id int64) bool { return readsBack(t, ParseMembersKey, MembersKey{TeamID: id}) },
		"quota":   func(id int64) bool { return readsBack(t, ParseQuotaKey, QuotaKey{TeamID: id}) },
		"email":   func(email string) bool { return readsBack(t, ParseUserByEmailKey, UserByEmailKey{Email: email}) },
	} {
		if err := quick.Check(property, nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzEmailKeys(f *testing.F) {
	for _, pair := range [][2]string{{"", "@"}, {"@", "%40"}, {"a:b", "a%3Ab"}, {"!x", "x"}, {"\x00", "%00"}, {"\xff", "\ufffd"}} {
		f.Add(pair[0], pair[1])
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		one, two := UserByEmailKey{a}, UserByEmailKey{b}
		readsBack(t, ParseUserByEmailKey, one)
		if (one == two) != (one.String() == two.String()) {
			t.Errorf("%q and %q have the keys %q and %q", a, b, one, two)
		}
		// What is read at all is what would be written.
		if key, err := ParseUserByEmailKey(a); err == nil && key.String() != a {
			t.Errorf("%q is read as %+v, which is written %q", a, key, key)
		}
	})
}
