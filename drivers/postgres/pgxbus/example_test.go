package pgxbus_test

import (
	"context"
	"fmt"
	"os"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/cachegen/cachegen/drivers/postgres/pgxbus"
)

// A listener prints each call.
type listener struct{}

func (listener) Up()                    { fmt.Println("up") }
func (listener) Down(err error)         { fmt.Println("down:", err) }
func (listener) Message(message []byte) { fmt.Printf("%s\n", message) }

func Example() {
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer pool.Close()

	bus := pgxbus.New(pool, pgxbus.Options{})
	defer bus.Close()
	unsubscribe, err := bus.Subscribe("news", listener{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer unsubscribe()
	if err := bus.Publish(ctx, "news", []byte("hello")); err != nil {
		fmt.Println(err)
	}
}
