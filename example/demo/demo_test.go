package demo

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/cachegen/cachegen/drivers/drivertest/servers"
)

func TestDemoWithoutServer(t *testing.T) {
	if out := run(t, Config{}); !strings.HasSuffix(out, "\ndemo: all 12 checks passed\n") {
		t.Fatal(out)
	}
}

func TestDemoWithRedisLeavesItClean(t *testing.T) {
	server := servers.Redis(t)
	if out := run(t, Config{RedisURL: server.URL()}); !strings.HasSuffix(out, "\ndemo: all 14 checks passed\n") {
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
	wrong := errors.New("wrong value")
	for _, c := range []struct {
		name string
		step func() (result, error)
		want string
	}{
		{"value", func() (result, error) { return result{}, wrong }, "wrong value"},
		{"queries", func() (result, error) { return result{}, nil }, "statements sent to the database: got 2, want 3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			var sent int64
			table := &table{out: &out, queries: func() (int64, error) { sent += 2; return sent, nil }}
			fine := func() (result, error) { return result{"fine", ""}, nil }
			table.line("first", 2, fine)
			table.line("second", 3, c.step)
			table.line("third", 2, fine)
			err := table.end()
			if err == nil || err.Error() != "check 2 failed: second: "+c.want {
				t.Errorf("error %v", err)
			}
			if text := out.String(); strings.Contains(text, "third") || strings.Contains(text, "passed") || !strings.Contains(text, "FAILED") {
				t.Error(text)
			}
		})
	}
}
