package drivers_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/memory"
)

// Every L2 can store, read and delete. What else it can do, a query says.
func Example() {
	ctx := context.Background()
	var l2 drivers.L2 = memory.NewL2(memory.L2Options{})
	defer l2.Close()

	if err := l2.SetMany(ctx, []drivers.Item{{Key: "user:1", Value: []byte("Ada")}}); err != nil {
		fmt.Println(err)
		return
	}
	values, err := l2.GetMany(ctx, []string{"user:1", "user:2"})
	fmt.Printf("%q %v %v\n", values[0], values[1] == nil, err)

	_, scans := drivers.ScannerOf(l2)
	_, asksServers := drivers.ReadyCheckerOf(l2)
	fmt.Println(scans, asksServers)
	// Output:
	// "Ada" true <nil>
	// true false
}

func ExampleAdderOf() {
	ctx := context.Background()
	l2 := memory.NewL2(memory.L2Options{})
	defer l2.Close()

	adder, ok := drivers.AdderOf(l2)
	if !ok {
		fmt.Println("the tier cannot add")
		return
	}
	for _, name := range []string{"Ada", "Grace"} {
		stored, err := adder.AddMany(ctx, []drivers.Item{{Key: "user:1", Value: []byte(name)}})
		fmt.Printf("%s %v\n", stored[0], err)
	}
	// Output:
	// Ada <nil>
	// Ada <nil>
}

// Counting counts the reads of a tier and changes nothing.
type Counting struct {
	drivers.PassThrough
	reads atomic.Int64
}

// GetMany implements [drivers.L2].
func (c *Counting) GetMany(ctx context.Context, keys []string) ([][]byte, error) {
	c.reads.Add(1)
	return c.PassThrough.GetMany(ctx, keys)
}

// A wrapper that changes neither keys nor values embeds a PassThrough, and has the
// capabilities of the tier behind.
func ExamplePassThrough() {
	l2 := &Counting{PassThrough: drivers.PassThrough{L2: memory.NewL2(memory.L2Options{})}}
	defer l2.Close()

	for range 3 {
		if _, err := l2.GetMany(context.Background(), []string{"user:1"}); err != nil {
			fmt.Println(err)
		}
	}
	_, adds := drivers.AdderOf(l2)
	fmt.Println(l2.reads.Load(), adds)
	// Output: 3 true
}

// Prefixed is a wrapper that changes keys: each begins with a prefix in the tier behind.
// It declares the methods of one capability, and so has that one where the tier behind
// has it, and no other.
type Prefixed struct {
	inner  drivers.L2
	prefix string
}

var (
	_ drivers.Wrapper[drivers.L2] = (*Prefixed)(nil)
	_ drivers.Scanner             = (*Prefixed)(nil)
)

// Unwrap implements [drivers.Wrapper].
func (p *Prefixed) Unwrap() drivers.L2 { return p.inner }

// GetMany implements [drivers.L2].
func (p *Prefixed) GetMany(ctx context.Context, keys []string) ([][]byte, error) {
	return p.inner.GetMany(ctx, p.prefixed(keys))
}

// SetMany implements [drivers.L2].
func (p *Prefixed) SetMany(ctx context.Context, items []drivers.Item) error {
	items = slices.Clone(items)
	for i := range items {
		items[i].Key = p.prefix + items[i].Key
	}
	return p.inner.SetMany(ctx, items)
}

// DeleteMany implements [drivers.L2].
func (p *Prefixed) DeleteMany(ctx context.Context, keys []string) error {
	return p.inner.DeleteMany(ctx, p.prefixed(keys))
}

// Close implements [drivers.L2].
func (p *Prefixed) Close() error { return p.inner.Close() }

// Scan implements [drivers.Scanner].
func (p *Prefixed) Scan(ctx context.Context, prefix string, f func(keys []string) error) error {
	scanner, ok := drivers.ScannerOf(p.inner)
	if !ok {
		return fmt.Errorf("prefixed: scan: %w", errors.ErrUnsupported)
	}
	return scanner.Scan(ctx, p.prefix+prefix, func(keys []string) error {
		own := make([]string, len(keys))
		for i, key := range keys {
			own[i] = strings.TrimPrefix(key, p.prefix)
		}
		return f(own)
	})
}

func (p *Prefixed) prefixed(keys []string) []string {
	all := make([]string, len(keys))
	for i, key := range keys {
		all[i] = p.prefix + key
	}
	return all
}

// A wrapper that changes keys or values declares each capability that it supports.
func ExampleWrapper() {
	ctx := context.Background()
	tier := memory.NewL2(memory.L2Options{})
	defer tier.Close()
	tenant := &Prefixed{tier, "tenant-a:"}

	if err := tenant.SetMany(ctx, []drivers.Item{{Key: "user:1", Value: []byte("Ada")}}); err != nil {
		fmt.Println(err)
		return
	}
	for _, l2 := range []drivers.L2{tenant, tier} {
		scanner, _ := drivers.ScannerOf(l2)
		err := scanner.Scan(ctx, "", func(keys []string) error { fmt.Println(keys); return nil })
		if err != nil {
			fmt.Println(err)
		}
	}
	_, deletes := drivers.PrefixDeleterOf(tenant)
	fmt.Println(deletes)
	// Output:
	// [user:1]
	// [tenant-a:user:1]
	// false
}
