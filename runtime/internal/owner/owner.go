// Package owner counts the stores of a process that have a driver. A driver that several
// have is closed with the last of them.
//
// A mutex guards the counts. It is not held while anything is closed.
package owner

import (
	"reflect"
	"sync"
)

var (
	mu     sync.Mutex
	counts = make(map[any]int)
)

// Take counts one store more that has driver. Nil, and a driver whose values cannot be
// compared, is not counted.
func Take(driver any) {
	if !countable(driver) {
		return
	}
	mu.Lock()
	defer mu.Unlock()
	counts[driver]++
}

// Release counts one store less and reports whether that was the last one. Of a driver
// that was not taken it was.
func Release(driver any) (last bool) {
	if !countable(driver) {
		return true
	}
	mu.Lock()
	defer mu.Unlock()
	if counts[driver] > 1 {
		counts[driver]--
		return false
	}
	delete(counts, driver)
	return true
}

func countable(driver any) bool { return driver != nil && reflect.ValueOf(driver).Comparable() }
