//go:build !linux

package file

import (
	"context"
	"errors"
)

// meetLimit is for Linux.
func (d *Driver) meetLimit(context.Context) error { return errors.ErrUnsupported }
