package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/cachegen/cachegen/example/users"
	"github.com/cachegen/cachegen/runtime"
)

const maxBody = 1 << 16

func (s *Service) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /users/{id}", answer(s.user))
	mux.HandleFunc("POST /users", answer(s.createUser))
	mux.HandleFunc("PATCH /users/{id}", answer(s.renameUser))
	mux.HandleFunc("GET /teams/{id}", answer(s.team))
	mux.HandleFunc("PATCH /teams/{id}", answer(s.renameTeam))
	mux.HandleFunc("POST /teams/{id}/move", answer(s.moveTeam))
	mux.HandleFunc("POST /teams/{id}/merge", answer(s.mergeTeam))
	mux.HandleFunc("GET /settings/{name}", answer(s.settings))
	mux.HandleFunc("GET /stats", answer(s.stats))
	return mux
}

func (s *Service) user(r *http.Request) (any, error) {
	id, err := pathID(r)
	if err != nil {
		return nil, err
	}
	return s.Users.FindUser(r.Context(), id)
}

func (s *Service) createUser(r *http.Request) (any, error) {
	var body struct {
		Name   string `json:"name"`
		TeamID int64  `json:"team_id"`
	}
	if err := read(r, &body); err != nil {
		return nil, err
	}
	if body.Name == "" {
		return nil, badRequest("name is empty")
	}
	u, err := s.Users.Create(r.Context(), body.Name, body.TeamID)
	return u, done(err)
}

func (s *Service) renameUser(r *http.Request) (any, error) {
	return rename(r, s.Users.Rename)
}

func (s *Service) team(r *http.Request) (any, error) {
	id, err := pathID(r)
	if err != nil {
		return nil, err
	}
	return s.Users.FindTeam(r.Context(), id)
}

func (s *Service) renameTeam(r *http.Request) (any, error) {
	return rename(r, s.Users.RenameTeam)
}

func (s *Service) moveTeam(r *http.Request) (any, error) {
	id, err := pathID(r)
	if err != nil {
		return nil, err
	}
	var body struct {
		To int64 `json:"to"`
	}
	if err := read(r, &body); err != nil {
		return nil, err
	}
	return nil, done(s.Users.MoveTeam(r.Context(), id, body.To))
}

func (s *Service) mergeTeam(r *http.Request) (any, error) {
	id, err := pathID(r)
	if err != nil {
		return nil, err
	}
	var body struct {
		Into int64  `json:"into"`
		Name string `json:"name"`
	}
	if err := read(r, &body); err != nil {
		return nil, err
	}
	if body.Name == "" {
		return nil, badRequest("name is empty")
	}
	return nil, done(s.Merge(r.Context(), id, body.Into, body.Name))
}

func (s *Service) settings(r *http.Request) (any, error) {
	return users.GetOrSetSettings(r.Context(), r.PathValue("name"))
}

// Stats are what GET /stats answers.
type Stats struct {
	Queries     int64 `json:"queries"`      // statements sent to the database
	SharedReads int64 `json:"shared_reads"` // reads of the second tier
}

func (s *Service) stats(*http.Request) (any, error) {
	return Stats{Queries: s.Users.Queries(), SharedReads: s.shared.reads.Load()}, nil
}

func rename(r *http.Request, change func(ctx context.Context, id int64, name string) error) (any, error) {
	id, err := pathID(r)
	if err != nil {
		return nil, err
	}
	var body struct {
		Name string `json:"name"`
	}
	if err := read(r, &body); err != nil {
		return nil, err
	}
	if body.Name == "" {
		return nil, badRequest("name is empty")
	}
	return nil, done(change(r.Context(), id, body.Name))
}

// done is the error of a change for the client. A change that was made, but that
// a cache has not heard of, is made: other instances may show the old value until
// its ttl ends, which is for the operator to know.
func done(err error) error {
	var late *runtime.InvalidationError
	if errors.As(err, &late) {
		slog.Warn("a cached value is out of date", "err", late)
		return nil
	}
	return err
}

// answer turns what a handler returns into JSON, or into no content.
func answer(handle func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		body, err := handle(r)
		// How long the repository took, without HTTP: browsers show it too.
		w.Header().Set("Server-Timing", fmt.Sprintf("repo;dur=%.6f", time.Since(began).Seconds()*1e3))
		if err == nil && body == nil {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		code := http.StatusOK
		if err != nil {
			code = statusOf(err)
			body = map[string]string{"error": err.Error()}
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		if err := json.NewEncoder(w).Encode(body); err != nil {
			slog.Warn("answer a request", "path", r.URL.Path, "err", err)
		}
	}
}

type badRequest string

func (e badRequest) Error() string { return string(e) }

func statusOf(err error) int {
	var bad badRequest
	switch {
	case errors.As(err, &bad):
		return http.StatusBadRequest
	case errors.Is(err, users.ErrNotFound):
		return http.StatusNotFound
	case errors.Is(err, runtime.ErrTimeout):
		return http.StatusGatewayTimeout
	}
	return http.StatusInternalServerError
}

func pathID(r *http.Request) (int64, error) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return 0, badRequest("the id is not a number: " + r.PathValue("id"))
	}
	return id, nil
}

func read(r *http.Request, body any) error {
	d := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(body); err != nil {
		return badRequest("the body is not what is expected: " + err.Error())
	}
	return nil
}
