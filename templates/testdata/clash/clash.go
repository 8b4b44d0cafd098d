//go:build !plan9

// Package clash declares names that generated code would like to import.
package clash

import (
	"context"
	stdtime "time"

	pkgerrors "github.com/cachegen/cachegen/templates/testdata/clash/errors"
)

var (
	errors  = stdtime.Now
	strconv = errors()
	_       = time{strconv}
)

type time struct{ _ stdtime.Time }

func Lookup(ctx context.Context, kind pkgerrors.Kind, at stdtime.Month) (*pkgerrors.Kind, error) {
	return nil, nil
}

func Reset(ctx context.Context, a, b pkgerrors.Kind) error { return nil }
