package naming

import "testing"

func TestNames(t *testing.T) {
	for _, test := range []struct{ name, upper, lower, prose string }{
		{"id", "ID", "id", "id"},
		{"userID", "UserID", "userID", "user ID"},
		{"urlPath", "URLPath", "urlPath", "url path"},
		{"ipAddr", "IPAddr", "ipAddr", "ip addr"},
		{"identity", "Identity", "identity", "identity"},
		{"UserByEmail", "UserByEmail", "userByEmail", "user by email"},
		{"HTTPServer", "HTTPServer", "httpServer", "HTTP server"},
		{"X", "X", "x", "x"},
		{"über", "Über", "über", "über"},
	} {
		if got := Upper(test.name); got != test.upper {
			t.Errorf("upper(%s) = %s, want %s", test.name, got, test.upper)
		}
		if got := Lower(test.name); got != test.lower {
			t.Errorf("lower(%s) = %s, want %s", test.name, got, test.lower)
		}
		if got := Prose(test.name); got != test.prose {
			t.Errorf("prose(%s) = %s, want %s", test.name, got, test.prose)
		}
	}
}

func TestCamel(t *testing.T) {
	for literal, want := range map[string]string{
		"team": "Team", "user-list": "UserList", "user_id": "UserID", "a.b.c": "ABC", "2fa": "2fa", "-": "", "v2": "V2",
	} {
		if got := Camel(literal); got != want {
			t.Errorf("camel(%s) = %s, want %s", literal, got, want)
		}
	}
}

func TestPlural(t *testing.T) {
	for name, want := range map[string]string{
		"user": "users", "entry": "entries", "key": "keys", "address": "addresses", "box": "boxes", "match": "matches", "news": "news", "y": "ys",
	} {
		if got := Plural(name); got != want {
			t.Errorf("plural(%s) = %s, want %s", name, got, want)
		}
	}
}
