package gen_test

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/cachegen/cachegen/drivers/memory"
	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/gen"
)

const _ = gen.Generated5

// A userKey is what the generator makes of the key user:{id}.
type userKey struct{ ID int64 }

func (k userKey) AppendText(b []byte) ([]byte, error) {
	return strconv.AppendInt(append(b, "user:"...), k.ID, 10), nil
}

func (k userKey) String() string { return gen.KeyText(k) }

func parseUserKey(text string) (k userKey, err error) {
	err = gen.ParseKey("user:{id}", text, &k.ID)
	return k, err
}

var userDefinition = gen.Definition{
	Name:      "example.com/app.FindUser",
	Pattern:   "user:{id}",
	IntPrefix: "user:",
	Options:   []gen.Option{gen.TTL(5 * time.Minute)},
}

// What generated code does, in short: a key type, a definition, and a function that looks
// into memory before it goes through the cache.
func Example() {
	ctx := context.Background()
	store, err := runtime.NewStore("main", runtime.L1(memory.New(memory.Options{})))
	if err != nil {
		panic(err)
	}
	stores, err := runtime.NewStores(store)
	if err != nil {
		panic(err)
	}
	defer stores.Close(ctx)
	users, err := gen.Open[userKey, string](stores, &userDefinition)
	if err != nil {
		panic(err)
	}

	getOrSetUser := func(ctx context.Context, id int64) (string, error) {
		if user, ok := gen.HitInt(ctx, users, id); ok {
			return user, nil
		}
		return users.GetOrSet(ctx, userKey{ID: id}, func(context.Context) (string, error) {
			fmt.Println("loading", userKey{ID: id})
			return "Ada", nil
		})
	}
	for range 2 {
		user, err := getOrSetUser(ctx, 42)
		fmt.Println(user, err)
	}
	key, err := parseUserKey("user:42")
	fmt.Println(key.ID, err)
	_, err = parseUserKey("user:x")
	fmt.Println(err)
	// Output:
	// loading user:42
	// Ada <nil>
	// Ada <nil>
	// 42 <nil>
	// cachegen: parse key "user:x" with pattern user:{id}: "x" is not a decimal integer, without leading zeros, that fits its type
}
