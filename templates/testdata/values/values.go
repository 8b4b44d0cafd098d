// Package values has wrapped types without pointers, caches that other types and
// functions invalidate, and a loader that is bound.
package values

import "context"

type Rate struct{ Cents int }

// Rates is wrapped by value.
type Rates struct{ base string }

func (r Rates) FindRate(ctx context.Context, currency string) (Rate, error) {
	return Rate{Cents: len(r.base)}, nil
}

// Desk invalidates what Rates loads, and caches nothing.
type Desk struct{}

func (d *Desk) Publish(ctx context.Context, currency string, rate Rate) error { return nil }

// Branch has the method of the rates that it embeds.
type Branch struct{ *Rates }

// Clerk uses only caches of functions.
type Clerk struct{}

func (c *Clerk) Close(ctx context.Context, day string) error { return nil }

// loadDay is not exported: neither is anything made for it.
func loadDay(ctx context.Context, day string) (total int, err error) { return 0, nil }

func CountDays(ctx context.Context) (int, error) { return 0, nil }

func Import(ctx context.Context, currency, day string) (Rate, error) { return Rate{}, nil }
