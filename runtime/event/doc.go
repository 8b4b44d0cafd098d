// Package event says what a store tells a program about itself.
//
// A program fills in the functions of a [Hooks] that it wants and gives it to
// runtime.Hooks, for one store or for all. [LogHooks] makes Hooks that log:
//
//	store, err := runtime.NewStore("main", tiers,
//		runtime.Hooks(event.LogHooks(logger, slog.LevelDebug)))
//
// Events are plain values. Their slices belong to the store: a hook must not change
// them, and copies what it wants to keep. The package holds no state and no lock.
package event
