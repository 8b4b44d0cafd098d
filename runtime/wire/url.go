package wire

import (
	"errors"
	"net/url"

	"github.com/vmihailenco/msgpack/v5/msgpcode"
)

// urlFields is how many fields a url.URL has.
const urlFields = 11

// URL writes v: its text, if that is parsed into the same URL, and otherwise an array of
// its fields, since a program can make a URL that no text is parsed into.
func (e *Encoder) URL(v *url.URL) {
	if e.err != nil {
		return
	}
	text := v.String()
	if back, err := url.Parse(text); err == nil && sameURL(v, back) {
		e.String(text)
		return
	}
	e.Array(urlFields)
	e.String(v.Scheme)
	e.String(v.Opaque)
	e.userinfo(v.User)
	e.String(v.Host)
	e.String(v.Path)
	e.String(v.RawPath)
	e.Bool(v.OmitHost)
	e.Bool(v.ForceQuery)
	e.String(v.RawQuery)
	e.String(v.Fragment)
	e.String(v.RawFragment)
}

func (e *Encoder) userinfo(v *url.Userinfo) {
	if v == nil {
		e.Nil()
		return
	}
	password, ok := v.Password()
	n := 1
	if ok {
		n++
	}
	e.Array(n)
	e.String(v.Username())
	if ok {
		e.String(password)
	}
}

func sameURL(a, b *url.URL) bool {
	x, y := *a, *b
	if (x.User == nil) != (y.User == nil) || x.User != nil && *x.User != *y.User {
		return false
	}
	x.User, y.User = nil, nil
	return x == y
}

var errURL = errors.New("not a URL")

// URL reads a URL into v, which is zero.
func (d *Decoder) URL(v *url.URL) {
	c, ok := d.wanted("a URL")
	if !ok {
		return
	}
	if !msgpcode.IsFixedArray(c) && c != msgpcode.Array16 && c != msgpcode.Array32 {
		parsed, err := url.Parse(d.String())
		if err != nil {
			d.Fail(errURL) // what was read may be anything, and does not belong in a log
			return
		}
		*v = *parsed
		return
	}
	if !d.Array(urlFields) {
		return
	}
	v.Scheme, v.Opaque, v.User, v.Host = d.String(), d.String(), d.userinfo(), d.String()
	v.Path, v.RawPath, v.OmitHost, v.ForceQuery = d.String(), d.String(), d.Bool(), d.Bool()
	v.RawQuery, v.Fragment, v.RawFragment = d.String(), d.String(), d.String()
}

func (d *Decoder) userinfo() *url.Userinfo {
	if d.Nil() {
		return nil
	}
	switch d.Slice() {
	case 1:
		return url.User(d.String())
	case 2:
		name := d.String()
		return url.UserPassword(name, d.String())
	}
	d.Fail(errURL)
	return nil
}
