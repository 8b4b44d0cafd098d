package event

import (
	"fmt"

	"github.com/cachegen/cachegen/runtime/internal/keytext"
)

// A LoadError is a load that has failed. The function of runtime.OnLoadError gets one.
type LoadError struct {
	Store, Cache string   // Cache is the name of the function, or of the ad-hoc cache
	Keys         []string // full keys, not to be changed
	Err          error    // what the loader has returned
	Background   bool     // no caller waits for the load
}

// Error names the cache, the first keys and the cause. A key that is long is cut, one with
// strange characters is quoted.
func (e *LoadError) Error() string {
	of := ""
	if e.Cache != "" {
		of = " of " + keytext.Line(e.Cache)
	}
	return fmt.Sprintf("cachegen: load %s%s in store %s: %v", keytext.ShowAll(e.Keys), of, e.Store, e.Err)
}

// Unwrap returns the cause.
func (e *LoadError) Unwrap() error { return e.Err }
