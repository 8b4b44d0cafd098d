package nats_test

import (
	"context"
	"fmt"
	"os"
	"time"

	gonats "github.com/nats-io/nats.go"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/nats"
)

func Example() {
	conn, err := gonats.Connect("nats://localhost:4222", gonats.MaxReconnects(-1))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	defer conn.Close()

	store := nats.New(conn, nats.Options{})
	defer store.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err = store.SetMany(ctx, []drivers.Item{{Key: "user:1", Value: []byte("Ada"), TTL: time.Hour}})
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
func (printer) Message(message []byte) { fmt.Printf("%s\n", message) }

func ExampleNewBus() {
	conn, err := gonats.Connect("nats://localhost:4222", gonats.MaxReconnects(-1))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	defer conn.Close()

	bus := nats.NewBus(conn, nats.BusOptions{})
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
