package redis_test

import (
	"context"
	"fmt"
	"os"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/memory"
	"github.com/cachegen/cachegen/drivers/redis"
	"github.com/cachegen/cachegen/runtime"
)

// Processes that share a Redis share what each of them has loaded. The bus tells each of them what
// another one has changed.
func Example() {
	client := goredis.NewClient(&goredis.Options{Addr: "localhost:6379"})
	defer client.Close() // after the stores

	stores, err := runtime.OpenStore("main",
		runtime.L1(memory.New(memory.Options{MaxSize: "100mb"})),
		runtime.L2(redis.New(client, redis.Options{})),
		runtime.Bus(redis.NewBus(client, redis.BusOptions{})),
		runtime.Prefix("shop"), // stores with one prefix share their entries
	)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	defer stores.Close(context.Background())
	// Give stores to the generated constructors.
}

// A store calls the driver. A program can call it too, where it wants to store bytes under keys.
func ExampleNew() {
	client := goredis.NewClient(&goredis.Options{Addr: "localhost:6379"})
	defer client.Close()

	store := redis.New(client, redis.Options{})
	defer store.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err := store.SetMany(ctx, []drivers.Item{{Key: "user:1", Value: []byte("Ada"), TTL: time.Hour}})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	values, err := store.GetMany(ctx, []string{"user:1", "user:2"})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	fmt.Printf("%q %v\n", values[0], values[1] == nil)
}

// printer is a listener that prints each call.
type printer struct{}

func (printer) Up()                    { fmt.Println("up") }
func (printer) Down(err error)         { fmt.Println("down:", err) }
func (printer) Message(message []byte) { fmt.Printf("message %q\n", message) }

func ExampleNewBus() {
	client := goredis.NewClient(&goredis.Options{Addr: "localhost:6379"})
	defer client.Close()

	bus := redis.NewBus(client, redis.BusOptions{})
	defer bus.Close()
	unsubscribe, err := bus.Subscribe("users", printer{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	defer unsubscribe()
	if err := bus.Publish(context.Background(), "users", []byte("user:1 changed")); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

// With a lease, other processes do not load a key while this process loads it.
func ExampleDriver_LeaseMany() {
	client := goredis.NewClusterClient(&goredis.ClusterOptions{Addrs: []string{"localhost:7000"}})
	defer client.Close()
	store := redis.New(client, redis.Options{})
	defer store.Close()
	ctx, keys, token := context.Background(), []string{"user:1"}, "unique to this load"

	taken, err := store.LeaseMany(ctx, keys, drivers.LeaseRequest{Token: token, TTL: 10 * time.Second})
	if err != nil || !taken[0].Taken {
		return // another process loads the key: wait for its value
	}
	loaded := []byte("Ada")
	filled, err := store.FillMany(ctx, []drivers.Item{{Key: keys[0], Value: loaded, TTL: time.Hour}}, token)
	if err == nil && !filled[0].Stored {
		fmt.Println("not stored: the key was changed during the load")
	}
}

// A program that must not start without its shared tier calls Ready first.
func ExampleDriver_Ready() {
	client := goredis.NewFailoverClient(&goredis.FailoverOptions{MasterName: "cache", SentinelAddrs: []string{"localhost:26379"}})
	defer client.Close()
	store := redis.New(client, redis.Options{})
	defer store.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := store.Ready(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// keyPrinter also prints the keys that are changed by any program.
type keyPrinter struct{ printer }

func (keyPrinter) KeyPrefix() string     { return "user:" }
func (keyPrinter) Changed(keys []string) { fmt.Println("changed", keys) }

func ExampleBusOptions_tracking() {
	client := goredis.NewClient(&goredis.Options{Addr: "localhost:6379"})
	defer client.Close()

	bus := redis.NewBus(client, redis.BusOptions{Tracking: true})
	defer bus.Close()
	unsubscribe, err := bus.Subscribe("users", keyPrinter{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	defer unsubscribe()
	// redis-cli DEL user:1 now prints "changed [user:1]".
}
