package naming

import (
	"slices"
	"testing"
)

// A name that Take gives out was free, and is taken afterwards.
func TestTakeGivesOnlyWhatIsFree(t *testing.T) {
	r := NewRegistry()
	r.Declare("User", Holder{What: "the package declares that name"})
	for _, test := range []struct {
		name    string
		command bool
		what    string // empty if the name is free
	}{
		{"UserKey", false, ""},
		{"UserKey", false, "that name is generated for FindUser"},
		{"User", false, "the package declares that name"},
		{"string", false, "that name is predeclared in Go"},
		{"init", false, "Go reserves that name"},
		{"main", true, "Go reserves that name"},
		{"main", false, ""},
	} {
		h, ok := r.Take(test.name, 1, "that name is generated for FindUser", test.command)
		if ok != (test.what == "") || h.What != test.what {
			t.Errorf("Take(%s) = %q, %t", test.name, h.What, ok)
		}
		if ok && !r.Generated(test.name) {
			t.Errorf("%s is not one of generated code after it was taken", test.name)
		}
	}
	if r.Generated("User") {
		t.Error("User is one of generated code")
	}
}

// Claim finds names that are free all together.
func TestClaimCountsUpToFreeNames(t *testing.T) {
	r := NewRegistry()
	made := func(name string) []string { return []string{"encode" + name, "decode" + name} }
	r.Declare("decodeUser", Holder{})
	r.Declare("encodeUser2", Holder{})
	for _, want := range []string{"User3", "User4"} {
		if got := r.Claim("User", "is generated", 0, made); got != want {
			t.Errorf("Claim gave %s, want %s", got, want)
		}
	}
	if r.Has("encodeUser") || !r.Has("encodeUser3") || !r.Has("decodeUser3") {
		t.Error("Claim took what it did not give out, or not what it did")
	}
}

func TestOfferedIgnoresCase(t *testing.T) {
	r := NewRegistry()
	r.Offer("UserEntry")
	if !r.Offered("userEntry") || r.Offered("UserItem") {
		t.Error("offered names are told apart by the case of their first word")
	}
}

func TestUnusedKeepsAFreeName(t *testing.T) {
	for _, test := range []struct{ name, fallback, want string }{
		{"id", "Arg", "id"}, {"err", "Arg", "errArg"}, {"ctx", "", "ctx2"}, {"key", "Arg", "keyArg2"},
	} {
		taken := func(name string) bool { return slices.Contains([]string{"err", "ctx", "key", "keyArg"}, name) }
		if got := Unused(test.name, test.fallback, taken); got != test.want {
			t.Errorf("Unused(%s, %q) = %s, want %s", test.name, test.fallback, got, test.want)
		}
	}
}

func TestSingular(t *testing.T) {
	for name, want := range map[string]string{"ids": "id", "entries": "entry", "ties": "tie", "address": "one", "list": "one", "s": "one"} {
		if got := Singular(name); got != want {
			t.Errorf("Singular(%s) = %s, want %s", name, got, want)
		}
	}
}
