package demo

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/cachegen/cachegen/drivers/drivertest/servers"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestDemoWithoutServer(t *testing.T) {
	if out := run(t, Config{}); !strings.HasSuffix(out, "\ndemo: all 15 checks passed\n") {
		t.Fatal(out)
	}
}

func TestDemoWithRedisLeavesItClean(t *testing.T) {
	server := servers.Redis(t)
	if out := run(t, Config{RedisURL: server.URL()}); !strings.HasSuffix(out, "\ndemo: all 17 checks passed\n") {
		t.Fatal(out)
	}
	client := goredis.NewClient(&goredis.Options{Addr: server.Addr()})
	defer client.Close()
	if n, err := client.DBSize(t.Context()).Result(); err != nil || n != 0 {
		t.Fatalf("%d keys are left, error %v", n, err)
	}
}

func TestDemoSaysThatRedisIsNotThere(t *testing.T) {
	var out bytes.Buffer
	err := Run(t.Context(), &out, Config{RedisURL: "redis://127.0.0.1:1"})
	if err == nil || !strings.Contains(err.Error(), "reach Redis at 127.0.0.1:1") {
		t.Fatal(err, out.String())
	}
}

func run(t *testing.T, c Config) string {
	t.Helper()
	var out bytes.Buffer
	if err := Run(t.Context(), &out, c); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	return out.String()
}

func TestTableEndsAtTheFirstFailure(t *testing.T) {
	wrong := errors.Join(errors.New("wrong value"), errors.New("too late"))
	fine := func() (result, error) { return result{"fine", ""}, nil }
	for _, c := range []struct {
		name string
		cost cost
		step func() (result, error)
		want string
	}{
		{"value", cost{sql: 2}, func() (result, error) { return result{"12 users", "7µs"}, wrong }, "wrong value; too late"},
		{"statements", cost{sql: 3}, fine, "statements sent to the database: got 2, want 3"},
		{"memory", cost{sql: 2, l2: noReads}, fine, "reads of the second tier: got 5, want 0"},
		{"second tier", cost{sql: 2, l2: readsOf(6)}, fine, "reads of the second tier: got 5, want at least 6"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			var so counts
			table := &table{out: &out, count: func() (counts, error) { so.sql += 2; so.l2 += 5; return so, nil }}
			table.line("first", cost{sql: 2, l2: readsOf(5)}, fine)
			table.line("second", c.cost, c.step)
			table.line("third", cost{sql: 2}, fine)
			err := table.end()
			if err == nil || err.Error() != "check 2 failed: second: "+c.want {
				t.Errorf("error %v", err)
			}
			lines := strings.Split(strings.TrimSpace(out.String()), "\n")
			if got := strings.Fields(lines[len(lines)-1]); !slices.Equal(got, []string{"2", "second", "FAILED", "2", "5"}) {
				t.Errorf("the last line is %q", got)
			}
		})
	}
}

func TestTableShowsNoNumbersThatItDoesNotHave(t *testing.T) {
	var out bytes.Buffer
	table := &table{out: &out, count: func() (counts, error) { return counts{}, errors.New("no answer") }}
	table.line("first", cost{}, func() (result, error) { return result{}, nil })
	if got := strings.Fields(out.String()); !slices.Equal(got, []string{"1", "first", "FAILED", "–", "–"}) {
		t.Errorf("the line is %q", got)
	}
}
