package service

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/cachegen/cachegen/example/users"
	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/transaction"
)

// killed, in the environment, makes this program a process that is killed. It is the
// directory of the service.
const killed = "EXAMPLE_KILLED"

func TestMain(m *testing.M) {
	if dir := os.Getenv(killed); dir != "" {
		fmt.Println("not killed:", commitAndDie(context.Background(), dir))
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// commitAndDie merges team 1 into team 2, and dies when the database has committed:
// nothing has been changed in the cache then.
func commitAndDie(ctx context.Context, dir string) error {
	s, err := Open(ctx, Config{Dir: dir})
	if err != nil {
		return err
	}
	return transaction.SQLX(ctx, dyingDB{s.db}, nil, func(ctx context.Context, tx dyingTx) error {
		return s.merge(ctx, tx.Tx, 1, 2, "Languages")
	})
}

// A dyingTx is a transaction that kills its process when it has committed, as kill -9
// does: nothing that is deferred runs.
type (
	dyingDB struct{ *sql.DB }
	dyingTx struct{ *sql.Tx }
)

func (db dyingDB) BeginTxx(ctx context.Context, options *sql.TxOptions) (dyingTx, error) {
	tx, err := db.BeginTx(ctx, options)
	return dyingTx{tx}, err
}

func (tx dyingTx) Commit() error {
	if err := tx.Tx.Commit(); err != nil {
		return err
	}
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		return err
	}
	if err := self.Kill(); err != nil {
		return err
	}
	select {}
}

// A process is killed after the commit, and before it has changed anything in the
// cache. Its transaction has left in the outbox what is to be done: this process finds
// it, and does it.
func TestAnotherProcessChangesTheCacheForOneThatWasKilled(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, runtime.OutboxPoll(50*time.Millisecond))
	for _, user := range []string{"/users/1", "/users/2"} { // of teams 1 and 2
		if got := get[users.User](t, s, user); got.Team == "Languages" {
			t.Fatal(got)
		}
	}

	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), killed+"="+dir)
	if out, err := child.CombinedOutput(); err == nil || len(out) > 0 {
		t.Fatalf("the process was not killed: %v\n%s", err, out)
	}
	// These answers are wrong for a moment: nothing else tells this process.
	for _, user := range []string{"/users/1", "/users/2"} {
		for began := time.Now(); get[users.User](t, s, user).Team != "Languages"; time.Sleep(time.Millisecond) {
			if time.Since(began) > 20*time.Second {
				t.Fatalf("%s shows the old team still", user)
			}
		}
	}
}
