package simulation

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cachegen/cachegen/drivers/memory"
	"github.com/cachegen/cachegen/runtime"
	"github.com/cachegen/cachegen/runtime/gen"
	"github.com/cachegen/cachegen/runtime/internal/random"
)

// A process is what one process of a program has of the cache: a store, and the caches of
// the table in it. All processes of a simulation name their store the same, and so share
// tier and bus.
type process struct {
	store        *runtime.Store
	outer, inner *runtime.Cache[int, tableRow]
}

// cache returns the cache that row is in.
func (p *process) cache(row int) *runtime.Cache[int, tableRow] {
	if isInner(row) {
		return p.inner
	}
	return p.outer
}

// A baked option is one of a definition, as generated code has it.
type baked struct{ option runtime.Option }

// Runtime implements gen.Option.
func (b baked) Runtime() runtime.Option { return b.option }

// openProcess opens a store, whose random numbers are those of source, and its caches.
func openProcess(source random.Source, store []runtime.StoreOption, caches []runtime.Option) (p *process, err error) {
	p = new(process)
	if p.store, err = openStore(source, append([]runtime.StoreOption{runtime.Logger(slog.New(slog.DiscardHandler))}, store...)); err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	stores, err := runtime.NewStores(p.store)
	if err != nil {
		return nil, fmt.Errorf("open the stores: %w", err)
	}
	options := make([]gen.Option, len(caches))
	for i, o := range caches {
		options[i] = baked{o}
	}
	p.outer, err = gen.Open[int, tableRow](stores, &gen.Definition{
		Name: "rows", Namespace: "rows", Options: options, NotFound: errNoRow,
		Tags: func(key any) []runtime.Tag {
			row, _ := key.(int)
			return []runtime.Tag{rowTag(row)}
		},
		ResultTags: func(value any) []runtime.Tag {
			row, _ := value.(tableRow)
			return []runtime.Tag{groupTag(row.Group)}
		},
	})
	if err != nil {
		return nil, fmt.Errorf("open the cache: %w", err)
	}
	if p.inner, err = p.outer.Namespace("inner"); err != nil {
		return nil, fmt.Errorf("open the inner cache: %w", err)
	}
	return p, nil
}

// opening keeps stores that are made at the same time from getting each other's source.
var opening sync.Mutex

// openStore makes a store. It asks for its source once, while it is being made, and keeps
// it: so the runtime's source is replaced for that time only.
func openStore(source random.Source, options []runtime.StoreOption) (*runtime.Store, error) {
	opening.Lock()
	defer opening.Unlock()
	defer random.Replace(func(string) random.Source { return source })()
	return runtime.NewStore("simulation", options...)
}

func (p *process) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return p.store.Close(ctx)
}

func memoryTier() runtime.StoreOption {
	return runtime.L1(memory.New(memory.Options{MaxSize: "10mb"}))
}
