package event_test

import (
	"fmt"

	"github.com/cachegen/cachegen/runtime/event"
)

func ExampleJoin() {
	count := 0
	hooks := event.Join(
		event.Hooks{Hit: func(event.Hit) { count++ }},
		event.Hooks{Hit: func(e event.Hit) { fmt.Println(e.Tier, e.Key) }},
	)
	hooks.Hit(event.Hit{Store: "main", Key: "users:user:42", Tier: event.L1})
	fmt.Println("hits:", count)
	// Output:
	// L1 users:user:42
	// hits: 1
}
