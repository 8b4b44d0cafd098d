// Package sessions keeps who is logged in. Tokens are its keys, and what it caches
// has secrets that only memory may hold.
package sessions

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

//go:generate go tool cachegen

// ErrDown says that the database does not answer.
var ErrDown = errors.New("the database is down")

// A Token is what names a session. It can be any text. Keys are no secrets: what
// logs somebody in is not among them.
type Token string

// A UserID is the number of a user.
type UserID uint32

// A DeviceID is the number of a device. Its text is hexadecimal.
type DeviceID [8]byte

// MarshalText writes the id in hexadecimal digits.
func (d DeviceID) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, d[:]), nil }

// UnmarshalText reads what MarshalText writes.
func (d *DeviceID) UnmarshalText(text []byte) error {
	if hex.DecodedLen(len(text)) != len(d) {
		return fmt.Errorf("device %q: want %d digits", text, hex.EncodedLen(len(d)))
	}
	_, err := hex.Decode(d[:], text)
	return err
}

// A Realm is a part of the site; its text is part of keys as it is of addresses.
type Realm struct {
	Site  string
	Admin bool
}

// MarshalText writes the realm as it is in addresses: site/admin.
func (r Realm) MarshalText() ([]byte, error) {
	if r.Admin {
		return []byte(r.Site + "/admin"), nil
	}
	return []byte(r.Site + "/"), nil
}

// UnmarshalText reads what MarshalText writes.
func (r *Realm) UnmarshalText(text []byte) error {
	for i := len(text) - 1; i >= 0; i-- {
		if text[i] != '/' {
			continue
		}
		rest := string(text[i+1:])
		if rest != "" && rest != "admin" {
			break
		}
		*r = Realm{Site: string(text[:i]), Admin: rest == "admin"}
		return nil
	}
	return fmt.Errorf("realm %q: want a site, a slash, and admin or nothing", text)
}

// A Session is what is known of a browser.
type Session struct {
	Token  Token
	User   UserID
	Device DeviceID
	Scopes Scopes
	Flash  []string          `msgpack:"flash,omitempty"`
	Vars   map[string]string `msgpack:"vars"`
	Begun  time.Time
	CSRF   string `msgpack:"-"` // a secret: forms have to send it
	Key    []byte `msgpack:"-"` // a secret: what cookies are signed with
}

// Table is the table of sessions. It counts its queries.
//
//cache:wrap CachedSessions namespace=sessions ttl=20m
type Table struct {
	Queries atomic.Int64

	mu       sync.Mutex // guards the rest
	sessions map[Token]Session
	down     bool
}

// NewTable returns a table with these sessions.
func NewTable(sessions ...Session) *Table {
	t := &Table{sessions: make(map[Token]Session)}
	for _, s := range sessions {
		t.sessions[s.Token] = s
	}
	return t
}

func (t *Table) query(f func()) error {
	t.Queries.Add(1)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.down {
		return ErrDown
	}
	f()
	return nil
}

// SetDown takes the database down, or up again.
func (t *Table) SetDown(down bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.down = down
}

// FindSession returns the session of a token, if there is one.
//
//cache:getorset session:{token} tag=user:{result.User} tag=device:{result.Device} notfoundttl=1m
func (t *Table) FindSession(ctx context.Context, token Token) (session *Session, ok bool, err error) {
	err = t.query(func() {
		var s Session
		if s, ok = t.sessions[token]; ok {
			session = &s
		}
	})
	return session, ok, err
}

// CountSessions returns how many sessions a user has in a realm. It is so old that
// it knows no contexts.
//
//cache:getorset count:{user}:{realm}:{live} name=Count tag=user:{user}
func (t *Table) CountSessions(user UserID, realm Realm, live bool) (n int, err error) {
	err = t.query(func() {
		for _, s := range t.sessions {
			if s.User == user {
				n++
			}
		}
	})
	return n, err
}

// FindDevice returns the scopes that a device has been given, if it is known.
//
//cache:getorset device:{device} store=local
func (t *Table) FindDevice(device DeviceID) (scopes Scopes, known bool, err error) {
	err = t.query(func() {
		for _, s := range t.sessions {
			if s.Device == device {
				scopes, known = s.Scopes, true
			}
		}
	})
	return scopes, known, err
}

// Login begins a session.
//
//cache:set FindSession(session.Token)
//cache:delete FindDevice(session.Device) tag=user:{session.User}
func (t *Table) Login(ctx context.Context, session *Session) (*Session, error) {
	return session, t.query(func() { t.sessions[session.Token] = *session })
}

// Logout ends a session.
//
//cache:delete FindSession(token)
func (t *Table) Logout(token Token) error {
	return t.query(func() { delete(t.sessions, token) })
}

// Revoke ends all sessions of a user.
//
//cache:delete tag=user:{user}
func (t *Table) Revoke(ctx context.Context, user UserID) (n int, err error) {
	err = t.query(func() {
		for token, s := range t.sessions {
			if s.User == user {
				delete(t.sessions, token)
				n++
			}
		}
	})
	return n, err
}

// Lose ends all sessions of a device.
//
//cache:delete FindDevice(device) tag=device:{device}
func (t *Table) Lose(device DeviceID) error {
	return t.query(func() {
		for token, s := range t.sessions {
			if s.Device == device {
				delete(t.sessions, token)
			}
		}
	})
}
