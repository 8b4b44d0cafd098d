// Command example serves users and teams as JSON over HTTP, from SQLite, with a
// cache in front.
//
//	go run ./example          serve; it prints what to ask it
//	go run ./example -demo    show what the cache does, and check it
//
// Read package users first: it has the annotated repository and what was
// generated from it. Package service opens the caches and has the handlers. With
// REDIS_URL in the environment, instances share a Redis.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/cachegen/cachegen/example/demo"
	"github.com/cachegen/cachegen/example/service"
	"github.com/cachegen/cachegen/example/users"
)

//go:generate go tool cachegen ./...

// readyTimeout is how long the service waits for its bus before it serves.
const readyTimeout = 2 * time.Second

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "address to serve on")
	data := flag.String("data", "", "existing directory of the database; empty for a new one that is removed at the end")
	show := flag.Bool("demo", false, "show what the cache does, and check it")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	what, err := "example", error(nil)
	if redisURL := os.Getenv("REDIS_URL"); *show {
		what = "demo"
		err = demo.Run(ctx, os.Stdout, demo.Config{RedisURL: redisURL})
	} else {
		err = serve(ctx, os.Stdout, *addr, *data, redisURL)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", what, err)
		os.Exit(1)
	}
}

// serve answers requests until ctx is done.
func serve(ctx context.Context, out io.Writer, addr, dir, redisURL string) (err error) {
	if dir == "" {
		if dir, err = os.MkdirTemp("", "cachegen-example-"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	}
	s, err := service.Open(ctx, service.Config{Dir: dir, RedisURL: redisURL})
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		err = errors.Join(err, s.Close(ctx))
	}()
	// Functions without a receiver have one cache for the whole program.
	if err := users.BindCaches(s.Stores); err != nil {
		return err
	}
	// Nobody has to wait for the bus: without it, memory is believed for a short
	// time only. But what is loaded before it is heard may be loaded again.
	ready, cancel := context.WithTimeout(ctx, readyTimeout)
	err = s.Stores.Ready(ready)
	cancel()
	if err != nil {
		slog.Warn("serving without the bus for now", "err", err)
	}

	l, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("%w (-addr sets another address)", err)
	}
	server := &http.Server{Handler: s, ReadHeaderTimeout: 5 * time.Second}
	printUsage(out, "http://"+l.Addr().String())
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	ctx, cancel = context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return server.Shutdown(ctx)
}

func printUsage(out io.Writer, url string) {
	fmt.Fprintf(out, `serving on %[1]s; try, in another terminal:

  curl -i %[1]s/users/1       # Server-Timing says how long the repository took: ask twice
  curl %[1]s/stats            # what the database and the second tier were asked
  curl -X PATCH -d '{"name": "Ada King"}' %[1]s/users/1
  curl %[1]s/users/1          # the new name, at once
  curl %[1]s/teams/1
  curl -X PATCH -d '{"name": "Languages"}' %[1]s/teams/1    # one tag: all users of the team
  curl %[1]s/users/1          # one of them: the team's new name
  curl -d '{"name": "Niklaus Wirth", "team_id": 1}' %[1]s/users
  curl -d '{"to": 2}' %[1]s/teams/1/move
  curl -d '{"into": 4, "name": "Systems"}' %[1]s/teams/3/merge    # two changes in one transaction
  curl %[1]s/settings/web

`, url)
}
