package sessions

import (
	"fmt"
	"strings"
	"testing"
	"testing/quick"
)

// readsBack checks that a key's text is parsed to the key, and what its text is
// made of.
func readsBack[K interface {
	comparable
	fmt.Stringer
}](t *testing.T, parse func(string) (K, error), key K, segments int) bool {
	t.Helper()
	text := key.String()
	if back, err := parse(text); err != nil || back != key {
		t.Errorf("%q is read back as %+v, %v, want %+v", text, back, err, key)
		return false
	}
	if n := strings.Count(text, ":") + 1; n != segments {
		t.Errorf("%q has %d segments, want %d", text, n, segments)
		return false
	}
	return true
}

func TestKeysReadBack(t *testing.T) {
	for name, property := range map[string]any{
		"session": func(token Token) bool { return readsBack(t, ParseSessionKey, SessionKey{Token: token}, 2) },
		"device":  func(device DeviceID) bool { return readsBack(t, ParseDeviceKey, DeviceKey{Device: device}, 2) },
		"policy":  func(name PolicyName) bool { return readsBack(t, ParsePolicyKey, PolicyKey{Name: name}, 2) },
		"count": func(user UserID, realm Realm, live bool) bool {
			return readsBack(t, ParseCountKey, CountKey{User: user, Realm: realm, Live: live}, 4)
		},
	} {
		if err := quick.Check(property, nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTextsThatNoKeyHasAreRefused(t *testing.T) {
	for _, text := range []string{
		"", "count", "count:1:shop/:true:", "count:01:shop/:true", "count:-1:shop/:true", "count:4294967296:shop/:true",
		"count:1:shop:true", "count:1:shop/%:true", "count:1:shop/%2f:true", "count:1:shop/:True", "session:1:shop/:true",
	} {
		if key, err := ParseCountKey(text); err == nil {
			t.Errorf("%q is read as %+v", text, key)
		}
	}
}

func FuzzCountKeysAreInjective(f *testing.F) {
	f.Add(uint32(1), "a", true, true, uint32(1), "a/admin", false, true)
	f.Add(uint32(1), "a:1", false, true, uint32(1), "a%3A1", false, true)
	f.Add(uint32(1), "", true, true, uint32(1), "/admin", false, true)
	f.Add(uint32(1), "@", false, true, uint32(1), "!", false, true)
	f.Fuzz(func(t *testing.T, user1 uint32, site1 string, admin1, live1 bool, user2 uint32, site2 string, admin2, live2 bool) {
		one := CountKey{UserID(user1), Realm{site1, admin1}, live1}
		two := CountKey{UserID(user2), Realm{site2, admin2}, live2}
		readsBack(t, ParseCountKey, one, 4)
		if (one == two) != (one.String() == two.String()) {
			t.Errorf("%+v and %+v have the texts %q and %q", one, two, one, two)
		}
	})
}

func FuzzParseCountKey(f *testing.F) {
	f.Add("count:1:shop/admin:true")
	f.Add("count:1:%40shop/:false")
	f.Fuzz(func(t *testing.T, text string) {
		if key, err := ParseCountKey(text); err == nil && key.String() != text {
			t.Errorf("%q is read as %+v, which is written %q", text, key, key)
		}
	})
}
