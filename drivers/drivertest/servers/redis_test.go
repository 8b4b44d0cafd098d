package servers

import "testing"

func TestRedisStopsAndRestartsOnItsPort(t *testing.T) {
	s := Redis(t)
	addr := s.Addr()
	if err := pingRedis(addr); err != nil {
		t.Fatal(err)
	}
	s.Stop()
	if err := pingRedis(addr); err == nil {
		t.Fatal("a stopped server answers")
	}
	s.Restart(t)
	if s.Addr() != addr {
		t.Fatalf("restarted on %s, was on %s", s.Addr(), addr)
	}
	if err := pingRedis(addr); err != nil {
		t.Fatal(err)
	}
}

func TestRedisThatCannotStartSaysWhy(t *testing.T) {
	Redis(t) // skips without the program
	_, err := StartRedis(t.TempDir(), "--no-such-option", "1")
	if err == nil {
		t.Fatal("started with an unknown option")
	}
	t.Log(err)
}
