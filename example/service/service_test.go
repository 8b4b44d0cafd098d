package service

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/example/users"
	"github.com/cachegen/cachegen/runtime"
)

func open(t *testing.T, dir string, options ...runtime.StoreOption) *Service {
	t.Helper()
	// Memory answers without a look at the second tier for as long as a test takes.
	trust := runtime.StampTrust(time.Hour)
	s, err := Open(t.Context(), Config{Dir: dir, Options: append(options, trust)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return s
}

// call sends a request and returns status and body.
func call(t *testing.T, s *Service, method, path, body string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body)))
	return w.Code, strings.TrimSpace(w.Body.String())
}

func get[T any](t *testing.T, s *Service, path string) (v T) {
	t.Helper()
	code, body := call(t, s, "GET", path, "")
	if code != http.StatusOK {
		t.Fatalf("GET %s: %d %s", path, code, body)
	}
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Fatalf("GET %s: %v", path, err)
	}
	return v
}

func send(t *testing.T, s *Service, method, path, body string) {
	t.Helper()
	if code, answer := call(t, s, method, path, body); code/100 != 2 {
		t.Fatalf("%s %s: %d %s", method, path, code, answer)
	}
}

func TestReadsAreServedFromMemory(t *testing.T) {
	s := open(t, t.TempDir())
	for _, path := range []string{"/users/1", "/teams/1"} {
		first := get[map[string]any](t, s, path)
		before := get[Stats](t, s, "/stats")
		if again := get[map[string]any](t, s, path); !reflect.DeepEqual(again, first) {
			t.Errorf("%s: %v, then %v", path, first, again)
		}
		if after := get[Stats](t, s, "/stats"); after != before {
			t.Errorf("%s: before the second read %+v, after it %+v", path, before, after)
		}
	}
}

func TestRestartKeepsTheSharedTier(t *testing.T) {
	dir := t.TempDir()
	first := open(t, dir)
	want := get[users.User](t, first, "/users/1")
	if err := first.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	second := open(t, dir)
	got := get[users.User](t, second, "/users/1")
	if !got.Created.Equal(want.Created) {
		t.Errorf("created %v, then %v", want.Created, got.Created)
	}
	if got.Created = want.Created; got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if stats := get[Stats](t, second, "/stats"); stats.Queries != 0 || stats.SharedReads == 0 {
		t.Errorf("%+v", stats)
	}
}

func TestCountingKeepsWhatTheTierCanDo(t *testing.T) {
	tier := open(t, t.TempDir()).shared
	if _, ok := drivers.AdderOf(tier); !ok {
		t.Error("not an Adder")
	}
	if _, ok := drivers.PrunerOf(tier); !ok {
		t.Error("not a Pruner")
	}
	if _, ok := drivers.CheckerOf(tier); !ok {
		t.Error("not a Checker")
	}
}

// A transaction changes the cache with its commit, and not at all if it is rolled back.
func TestAMergeIsMadeAsAWholeOrNotAtAll(t *testing.T) {
	s := open(t, t.TempDir())
	want := get[users.User](t, s, "/users/1")
	for _, body := range []string{`{"into": 99, "name": "Nobody"}`, `{"into": 2}`} {
		if code, answer := call(t, s, "POST", "/teams/1/merge", body); code/100 != 4 {
			t.Errorf("%s: %d %s", body, code, answer)
		}
	}
	after := get[Stats](t, s, "/stats")
	if got := get[users.User](t, s, "/users/1"); got != want || get[Stats](t, s, "/stats") != after {
		t.Errorf("%v: it is not in the cache any more", got)
	}
	get[users.User](t, s, "/users/2")
	send(t, s, "POST", "/teams/1/merge", `{"into": 2, "name": "Languages"}`)
	for _, path := range []string{"/users/1", "/users/2"} {
		if got := get[users.User](t, s, path); got.TeamID != 2 || got.Team != "Languages" {
			t.Errorf("%s is %v", path, got)
		}
	}
}

func TestChangesShowAtOnce(t *testing.T) {
	s := open(t, t.TempDir())
	get[users.User](t, s, "/users/1")
	get[users.User](t, s, "/users/5")
	get[users.Team](t, s, "/teams/1")
	get[users.Team](t, s, "/teams/2")

	send(t, s, "PATCH", "/users/1", `{"name": "Ada King"}`)
	if u := get[users.User](t, s, "/users/1"); u.Name != "Ada King" {
		t.Errorf("after the user's rename: %v", u)
	}

	send(t, s, "PATCH", "/teams/1", `{"name": "Languages"}`)
	for _, path := range []string{"/users/1", "/users/5"} {
		if u := get[users.User](t, s, path); u.Team != "Languages" {
			t.Errorf("after the team's rename: %v", u)
		}
	}
	if team := get[users.Team](t, s, "/teams/1"); team.Name != "Languages" {
		t.Errorf("after the team's rename: %v", team)
	}

	send(t, s, "POST", "/teams/1/move", `{"to": 2}`)
	if u := get[users.User](t, s, "/users/5"); u.TeamID != 2 || u.Team != "Networks" {
		t.Errorf("after the move: %v", u)
	}
	for path, want := range map[string]int{"/teams/1": 0, "/teams/2": users.Seeded / 2} {
		if team := get[users.Team](t, s, path); team.Users != want {
			t.Errorf("after the move: %v, want %d users", team, want)
		}
	}
}

func TestCreatedUserIsCachedAndCounted(t *testing.T) {
	s := open(t, t.TempDir())
	before := get[users.Team](t, s, "/teams/3")
	send(t, s, "POST", "/users", `{"name": "Niklaus Wirth", "team_id": 3}`)
	queries := s.Users.Queries()
	if u := get[users.User](t, s, "/users/81"); u.Name != "Niklaus Wirth" || u.Team != "Storage" {
		t.Errorf("got %v", u)
	}
	if n := s.Users.Queries() - queries; n != 0 {
		t.Errorf("reading the new user took %d queries", n)
	}
	if after := get[users.Team](t, s, "/teams/3"); after.Users != before.Users+1 {
		t.Errorf("team had %d users, now %d", before.Users, after.Users)
	}
}

func TestRefusals(t *testing.T) {
	s := open(t, t.TempDir())
	if err := users.BindCaches(s.Stores); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		method, path, body string
		want               int
	}{
		{"GET", "/users/999", "", http.StatusNotFound},
		{"GET", "/users/ada", "", http.StatusBadRequest},
		{"GET", "/teams/999", "", http.StatusNotFound},
		{"GET", "/settings/none", "", http.StatusNotFound},
		{"GET", "/settings/..%2f..", "", http.StatusNotFound},
		{"PATCH", "/users/999", `{"name": "Nobody"}`, http.StatusNotFound},
		{"PATCH", "/users/1", `{"name": ""}`, http.StatusBadRequest},
		{"PATCH", "/users/1", `{"nam": "Ada"}`, http.StatusBadRequest},
		{"PATCH", "/users/1", strings.Repeat(" ", maxBody+1) + `{"name": "Ada"}`, http.StatusBadRequest},
		{"POST", "/users", `{"team_id": 1}`, http.StatusBadRequest},
		{"POST", "/users", `{"name": "Nobody", "team_id": 99}`, http.StatusNotFound},
		{"POST", "/teams/1/move", `{"to": 99}`, http.StatusNotFound},
		{"DELETE", "/users/1", "", http.StatusMethodNotAllowed},
	} {
		if code, body := call(t, s, c.method, c.path, c.body); code != c.want {
			t.Errorf("%s %s: %d %s, want %d", c.method, c.path, code, body, c.want)
		}
	}
}

func TestSettingsAreServedFromTheLocalStore(t *testing.T) {
	s := open(t, t.TempDir())
	if err := users.BindCaches(s.Stores); err != nil {
		t.Fatal(err)
	}
	want := users.Settings{Title: "The team book", PageSize: 20}
	for range 2 {
		if got := get[users.Settings](t, s, "/settings/web"); got != want {
			t.Errorf("got %v", got)
		}
	}
}

func TestAnInvalidationThatIsPendingIsNoFailure(t *testing.T) {
	if err := done(&runtime.InvalidationError{Op: "delete", Store: "main", Err: errors.New("gone")}); err != nil {
		t.Error(err)
	}
	if err := done(users.ErrNotFound); !errors.Is(err, users.ErrNotFound) {
		t.Error(err)
	}
}
