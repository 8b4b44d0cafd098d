package repository

import "context"

// A Host tells about the machine. It is written for each system.
//
//cache:wrap CachedHost namespace=host ttl=forever
type Host struct{ loads int }

// LoadSystem returns the system's name and a file that only it has.
//
//cache:getorset system:{verbose}
func (h *Host) LoadSystem(ctx context.Context, verbose bool) (string, error) {
	h.loads++
	if verbose {
		return "linux, with /proc", nil
	}
	return "linux", nil
}
