package redis_test

import (
	"context"
	"fmt"
	"os"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/redis"
)

func Example() {
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

// printer is a listener that shows what it is told.
type printer struct{}

func (printer) Up()                    { fmt.Println("up") }
func (printer) Down(err error)         { fmt.Println("down:", err) }
func (printer) Message(message []byte) { fmt.Printf("message %q\n", message) }

func ExampleNewBus() {
	client := goredis.NewClient(&goredis.Options{Addr: "localhost:6379"})
	defer client.Close()

	bus := redis.NewBus(client)
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
