package redis

import (
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/drivertest"
	"github.com/cachegen/cachegen/drivers/drivertest/servers"
)

// race R45: a client that sends a write again after a broken connection brings back a value
// that has been deleted since.
func TestWritesAreSentOnce(t *testing.T) {
	address := servers.Redis(t).Addr()
	for name, client := range map[string]func(address string) goredis.UniversalClient{
		"Single": func(address string) goredis.UniversalClient {
			return goredis.NewClient(&goredis.Options{Addr: address})
		},
		"RESP2": func(address string) goredis.UniversalClient {
			return goredis.NewClient(&goredis.Options{Addr: address, Protocol: 2})
		},
		"Ring": func(address string) goredis.UniversalClient {
			return goredis.NewRing(&goredis.RingOptions{Addrs: map[string]string{"a": address}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			drivertest.L2LostAnswers(t, address, func(t *testing.T, address string) drivers.L2 {
				c := client(address)
				t.Cleanup(func() { c.Close() })
				return New(c, Options{})
			})
		})
	}
}
