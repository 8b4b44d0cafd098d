package repository

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
)

// conversions counts the calls of [Convert] and count.
var conversions, counts atomic.Int64

// A Number is what [Convert] converts to.
type Number interface{ ~int64 | ~float64 }

// Convert reads a number. Each list of type arguments has a cache of its own.
//
//cache:getorset converted:{text} name=Converted ttl=1h shared tag=text:{text}
func Convert[N Number](ctx context.Context, text string) (N, error) {
	conversions.Add(1)
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0, fmt.Errorf("convert: %w", err)
	}
	return N(f), nil
}

// Reconvert makes the next conversions of a text anew, whatever they convert it to.
//
//cache:delete tag=text:{text}
func Reconvert(text string) error { return nil }

// LoadPair returns a page of two keys, which are in its key as what they are.
//
//cache:getorset pair:{a}:{b} ttl=1h
func LoadPair[A, B ID](ctx context.Context, a A, b B) (Page[string], error) {
	return Page[string]{Items: []string{fmt.Sprint(a), fmt.Sprint(b)}, Total: 2}, nil
}

// count counts something.
//
//cache:getorset count:{of} name=count
func count(ctx context.Context, of Alias) (n int64, err error) {
	counts.Add(1)
	return int64(len(of)), nil
}

// recount counts it again.
//
//cache:set count(of)
func recount(ctx context.Context, of Alias) (n int64, err error) { return -1, nil }
