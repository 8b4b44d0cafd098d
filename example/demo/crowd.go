package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/cachegen/cachegen/example/users"
)

// crowd sends n requests for one user at the same time and calls arrived when
// the last of them has begun. It gives them to the handler directly: as many
// sockets are more than many systems allow.
func crowd(ctx context.Context, h http.Handler, n int, id int64, arrived func()) ([]users.User, error) {
	var (
		answers = make([]users.User, n)
		errs    = make([]error, n)
		start   = make(chan struct{})
		begun   atomic.Int64
		all     sync.WaitGroup
	)
	for i := range n {
		all.Go(func() {
			<-start
			if begun.Add(1) == int64(n) {
				arrived()
			}
			answers[i], errs[i] = call(ctx, h, id)
		})
	}
	close(start)
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return answers, nil
}

func call(ctx context.Context, h http.Handler, id int64) (u users.User, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "/users/"+strconv.FormatInt(id, 10), nil)
	if err != nil {
		return u, err
	}
	w := &answer{status: http.StatusOK, header: make(http.Header)}
	h.ServeHTTP(w, r)
	if w.status != http.StatusOK {
		return u, &refusal{w.status, w.body.String()}
	}
	return u, json.Unmarshal(w.body.Bytes(), &u)
}

// answer is an [http.ResponseWriter] that keeps what is written.
type answer struct {
	status int
	header http.Header
	body   bytes.Buffer
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(status int)      { a.status = status }
func (a *answer) Write(b []byte) (int, error) { return a.body.Write(b) }
