package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/cachegen/cachegen/example/service"
	"github.com/cachegen/cachegen/example/users"
)

// An instance is a service that listens on a free port of the loopback interface,
// and a client of it.
type instance struct {
	*service.Service
	server *http.Server
	client *http.Client
	url    string
}

// start returns when the instance answers and, with Redis, hears the others.
func start(ctx context.Context, c service.Config) (*instance, error) {
	s, err := service.Open(ctx, c)
	if err != nil {
		return nil, err
	}
	// What is loaded before an instance hears the others may be loaded twice.
	ready, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := s.Stores.Ready(ready); err != nil {
		return nil, errors.Join(err, s.Close(ctx))
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(err, s.Close(ctx))
	}
	i := &instance{
		Service: s,
		server:  &http.Server{Handler: s},
		client:  &http.Client{Transport: &http.Transport{}},
		url:     "http://" + l.Addr().String(),
	}
	go i.server.Serve(l)
	return i, nil
}

func (i *instance) stop(ctx context.Context) error {
	i.client.CloseIdleConnections()
	return errors.Join(i.server.Shutdown(ctx), i.Close(ctx))
}

// A refusal is an answer that is not a success.
type refusal struct {
	status int
	body   string
}

func (r *refusal) Error() string { return fmt.Sprintf("the service answered %d: %s", r.status, r.body) }

var timing = regexp.MustCompile(`repo;dur=([0-9.]+)`)

// do sends a request and decodes the answer into out, if that is not nil. It
// returns how long the repository took, as the service says.
func (i *instance) do(ctx context.Context, method, path string, in, out any) (time.Duration, error) {
	var body bytes.Buffer
	if in != nil {
		if err := json.NewEncoder(&body).Encode(in); err != nil {
			return 0, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, i.url+path, &body)
	if err != nil {
		return 0, err
	}
	resp, err := i.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, fmt.Errorf("%s %s: %w", method, path, err)
	}
	if resp.StatusCode/100 != 2 {
		return 0, &refusal{resp.StatusCode, string(bytes.TrimSpace(answer))}
	}
	if out != nil {
		if err := json.Unmarshal(answer, out); err != nil {
			return 0, fmt.Errorf("%s %s: %w", method, path, err)
		}
	}
	m := timing.FindStringSubmatch(resp.Header.Get("Server-Timing"))
	if m == nil {
		return 0, fmt.Errorf("%s %s: no Server-Timing in the answer", method, path)
	}
	ms, err := strconv.ParseFloat(m[1], 64)
	return time.Duration(ms * float64(time.Millisecond)), err
}

func (i *instance) user(ctx context.Context, id int64) (u users.User, err error) {
	_, err = i.do(ctx, "GET", fmt.Sprintf("/users/%d", id), nil, &u)
	return u, err
}

// users reads users one after the other and returns them with the median time
// that the repository took.
func (i *instance) users(ctx context.Context, ids []int64) ([]users.User, time.Duration, error) {
	found := make([]users.User, len(ids))
	took := make([]time.Duration, len(ids))
	for n, id := range ids {
		var err error
		if took[n], err = i.do(ctx, "GET", fmt.Sprintf("/users/%d", id), nil, &found[n]); err != nil {
			return nil, 0, err
		}
	}
	slices.Sort(took)
	return found, took[len(took)/2], nil
}

func (i *instance) rename(ctx context.Context, kind string, id int64, name string) error {
	_, err := i.do(ctx, "PATCH", fmt.Sprintf("/%s/%d", kind, id), map[string]string{"name": name}, nil)
	return err
}

func (i *instance) merge(ctx context.Context, from, to int64, name string) error {
	_, err := i.do(ctx, "POST", fmt.Sprintf("/teams/%d/merge", from), map[string]any{"into": to, "name": name}, nil)
	return err
}

func (i *instance) create(ctx context.Context, name string, team int64) (u users.User, err error) {
	_, err = i.do(ctx, "POST", "/users", map[string]any{"name": name, "team_id": team}, &u)
	return u, err
}

func (i *instance) team(ctx context.Context, id int64) (t users.Team, err error) {
	_, err = i.do(ctx, "GET", fmt.Sprintf("/teams/%d", id), nil, &t)
	return t, err
}

// counts returns what the instance has asked of others so far.
func (i *instance) counts(ctx context.Context) (service.Stats, error) {
	var s service.Stats
	_, err := i.do(ctx, "GET", "/stats", nil, &s)
	return s, err
}
