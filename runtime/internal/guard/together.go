package guard

import (
	"errors"
	"sync"
)

// Together calls functions at the same time and joins their errors. If one panics, so does
// Together, when all have ended.
func Together(do []func() error) error {
	if len(do) == 1 {
		return do[0]()
	}
	errs, panics := make([]error, len(do)), make([]any, len(do))
	var all sync.WaitGroup
	for i, f := range do {
		all.Go(func() {
			defer func() { panics[i] = recover() }()
			errs[i] = f()
		})
	}
	all.Wait()
	for _, p := range panics {
		if p != nil {
			panic(p)
		}
	}
	return errors.Join(errs...)
}
