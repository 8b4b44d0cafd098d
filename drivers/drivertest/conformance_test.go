package drivertest_test

import (
	"testing"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/drivertest"
)

func TestTheExampleConforms(t *testing.T) {
	drivertest.L2(t, func(t *testing.T) drivers.L2 {
		store := &Store{items: make(map[string]item)}
		t.Cleanup(func() { store.Close() })
		return store
	})
}
