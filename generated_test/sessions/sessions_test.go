package sessions

import (
	"errors"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/cachegen/cachegen/generated_test/internal/process"
	"github.com/cachegen/cachegen/runtime"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	phone  = DeviceID{0xca, 0xfe}
	laptop = DeviceID{0xbe, 0xef}
)

func someSession() Session {
	return Session{
		Token: "t:1", User: 7, Device: phone,
		Scopes: Scopes{}.Grant("read").Grant("pay"),
		Flash:  []string{"Welcome back"},
		Vars:   map[string]string{"theme": "dark", "": "empty"},
		Begun:  time.Date(2026, 7, 1, 12, 0, 0, 5, time.UTC),
		CSRF:   "secret-of-forms",
		Key:    []byte("secret-of-cookies"),
	}
}

func wrap(t *testing.T, table *Table, stores runtime.Stores) *CachedSessions {
	t.Helper()
	cached, err := NewCachedSessions(table, stores)
	if err != nil {
		t.Fatal(err)
	}
	return cached
}

func alone(t *testing.T, f func(t *testing.T, table *Table, cached *CachedSessions)) {
	t.Helper()
	process.InEveryShape(t, func(t *testing.T, stores runtime.Stores) {
		table := NewTable(someSession(), Session{Token: "t:2", User: 8, Device: laptop})
		f(t, table, wrap(t, table, stores))
	})
}

// inMemory is alone in a store that has a memory tier and nothing else.
func inMemory(t *testing.T, f func(t *testing.T, table *Table, cached *CachedSessions)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		table := NewTable(someSession(), Session{Token: "t:2", User: 8, Device: laptop})
		f(t, table, wrap(t, table, process.Alone(t)))
	})
}

func (t *Table) wantQueries(tt *testing.T, want int64, f func()) {
	tt.Helper()
	before := t.Queries.Load()
	f()
	if n := t.Queries.Load() - before; n != want {
		tt.Errorf("%d queries, want %d", n, want)
	}
}

// find returns a session that there is.
func (c *CachedSessions) find(t *testing.T, token Token) *Session {
	t.Helper()
	s, ok, err := c.FindSession(t.Context(), token)
	if s == nil || !ok || err != nil {
		t.Fatalf("session %s: %v, %v, %v", token, s, ok, err)
	}
	return s
}

func (c *CachedSessions) wantNone(t *testing.T, token Token) {
	t.Helper()
	if s, ok, err := c.FindSession(t.Context(), token); s != nil || ok || err != nil {
		t.Fatalf("session %s: %v, %v, %v, want none", token, s, ok, err)
	}
}

func TestALoaderSaysWithABoolThatThereIsNothing(t *testing.T) {
	alone(t, func(t *testing.T, table *Table, cached *CachedSessions) {
		table.wantQueries(t, 1, func() {
			cached.wantNone(t, "nobody")
			cached.wantNone(t, "nobody")
		})
		if s, ok, err := cached.GetCachedSession(t.Context(), "nobody"); s != nil || ok || err != nil {
			t.Errorf("there is an entry of nobody: %v, %v, %v", s, ok, err)
		}
		time.Sleep(61 * time.Second) // notfoundttl=1m
		table.wantQueries(t, 1, func() { cached.wantNone(t, "nobody") })
		table.SetDown(true)
		if _, ok, err := cached.FindSession(t.Context(), "another"); ok || !errors.Is(err, ErrDown) {
			t.Errorf("an error is not nothing: %v, %v", ok, err)
		}
	})
}

// cachedSession is someSession as the cache has it, in whatever tier: without its secrets.
func cachedSession() Session {
	s := someSession()
	s.CSRF, s.Key = "", nil
	return s
}

// A secret is there for who loads the session, and in no tier.
func TestMemoryKeepsNoSecrets(t *testing.T) {
	inMemory(t, func(t *testing.T, table *Table, cached *CachedSessions) {
		table.wantQueries(t, 1, func() {
			for _, want := range []Session{someSession(), cachedSession(), cachedSession()} {
				if s := cached.find(t, "t:1"); !reflect.DeepEqual(*s, want) {
					t.Errorf("got %+v, want %+v", *s, want)
				}
			}
		})
	})
}

func TestASessionBelongsToItsCaller(t *testing.T) {
	inMemory(t, func(t *testing.T, table *Table, cached *CachedSessions) {
		s := cached.find(t, "t:1")
		s.Vars["theme"] = "light"
		s.Flash[0] = "changed"
		s.Key[0] = 'X'
		s.User = 0
		if again, want := cached.find(t, "t:1"), cachedSession(); !reflect.DeepEqual(*again, want) {
			t.Errorf("another caller gets %+v, want %+v", *again, want)
		}
	})
}

func TestSecretsDoNotLeaveTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := process.Share(t)
		table := NewTable(someSession())
		a, b := wrap(t, table, shared.Open(t)), wrap(t, table, shared.Open(t))
		a.find(t, "t:1")
		for text, want := range map[string]bool{"secret-of": false, "theme": true} {
			if got := shared.Holds(t, text); got != want {
				t.Errorf("the shared tier holds %q: %v, want %v", text, got, want)
			}
		}
		table.wantQueries(t, 0, func() {
			want := cachedSession()
			got := *b.find(t, "t:1")
			if !got.Begun.Equal(want.Begun) {
				t.Errorf("begun %v, want %v", got.Begun, want.Begun)
			}
			got.Begun = want.Begun
			if !reflect.DeepEqual(got, want) {
				t.Errorf("the other process gets %+v, want %+v", got, want)
			}
			if again := a.find(t, "t:1"); !reflect.DeepEqual(*again, cachedSession()) {
				t.Errorf("the first process gets %+v", *again)
			}
		})
	})
}

func TestSetIsLikeALoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := process.Share(t)
		table := NewTable()
		cached := wrap(t, table, shared.Open(t))
		cached.wantNone(t, "t:1")
		s := someSession()
		if _, err := cached.Login(t.Context(), &s); err != nil {
			t.Fatal(err)
		}
		s.Flash[0] = "changed" // the caller's own
		table.wantQueries(t, 0, func() {
			if got, want := cached.find(t, "t:1"), cachedSession(); !reflect.DeepEqual(*got, want) {
				t.Errorf("got %+v, want %+v", *got, want)
			}
		})
		if shared.Holds(t, "secret-of") {
			t.Error("a secret has left the process")
		}
		if err := cached.Logout("t:1"); err != nil {
			t.Fatal(err)
		}
		cached.wantNone(t, "t:1")
		if shared.Holds(t, "theme") {
			t.Error("the session is still in the shared tier")
		}
	})
}

func TestFunctionsWithoutAContextAreCached(t *testing.T) {
	alone(t, func(t *testing.T, table *Table, cached *CachedSessions) {
		count := func(realm Realm, live bool) {
			if n, err := cached.CountSessions(7, realm, live); n != 1 || err != nil {
				t.Fatal(n, err)
			}
		}
		table.wantQueries(t, 3, func() {
			for range 2 {
				count(Realm{Site: "shop"}, true)
				count(Realm{Site: "shop", Admin: true}, true)
				count(Realm{Site: "shop"}, false)
			}
		})
		if n, err := cached.Revoke(t.Context(), 7); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		if n, err := cached.CountSessions(7, Realm{Site: "shop"}, true); n != 0 || err != nil {
			t.Error(n, err)
		}
	})
}

func TestALostDeviceEndsItsSessionsEverywhere(t *testing.T) {
	alone(t, func(t *testing.T, table *Table, cached *CachedSessions) {
		cached.find(t, "t:1")
		cached.find(t, "t:2")
		if scopes, known, err := cached.FindDevice(phone); !scopes.Has("pay") || scopes.Has("admin") || !known || err != nil {
			t.Fatal(scopes, known, err)
		}
		if err := cached.Lose(phone); err != nil {
			t.Fatal(err)
		}
		cached.wantNone(t, "t:1")
		if scopes, known, err := cached.FindDevice(phone); scopes != (Scopes{}) || known || err != nil {
			t.Error(scopes, known, err)
		}
		table.wantQueries(t, 0, func() { cached.find(t, "t:2") })
	})
}

func TestRevokingAUserReachesWhatTheirSessionsAreTaggedWith(t *testing.T) {
	alone(t, func(t *testing.T, table *Table, cached *CachedSessions) {
		cached.find(t, "t:1")
		cached.find(t, "t:2")
		if n, err := cached.Revoke(t.Context(), 7); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		cached.wantNone(t, "t:1")
		table.wantQueries(t, 0, func() { cached.find(t, "t:2") })
	})
}

func TestAnotherStoreHoldsWhatTheDirectiveSendsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := NewTable(someSession())
		one, other := process.Two(t)
		a, b := wrap(t, table, one), wrap(t, table, other)
		table.wantQueries(t, 2, func() { // store=local: each process has its own
			for _, c := range []*CachedSessions{a, b, a, b} {
				if _, known, err := c.FindDevice(phone); !known || err != nil {
					t.Fatal(known, err)
				}
			}
		})
	})
}
