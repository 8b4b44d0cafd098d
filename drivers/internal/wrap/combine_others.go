package wrap

import "github.com/cachegen/cachegen/drivers"

// combineOthers is [combine] for tiers that do not lend keys.
func combineOthers(w *wrapper, c int) drivers.L2 {
	switch c {
	case adds:
		return struct {
			tier
			drivers.Adder
		}{w, w}
	case swaps:
		return struct {
			tier
			drivers.Swapper
		}{w, w}
	case adds | swaps:
		return struct {
			tier
			drivers.Adder
			drivers.Swapper
		}{w, w, w}
	case scans:
		return struct {
			tier
			drivers.Scanner
		}{w, w}
	case adds | scans:
		return struct {
			tier
			drivers.Adder
			drivers.Scanner
		}{w, w, w}
	case swaps | scans:
		return struct {
			tier
			drivers.Swapper
			drivers.Scanner
		}{w, w, w}
	case adds | swaps | scans:
		return struct {
			tier
			drivers.Adder
			drivers.Swapper
			drivers.Scanner
		}{w, w, w, w}
	case prefixes:
		return struct {
			tier
			drivers.PrefixDeleter
		}{w, w}
	case adds | prefixes:
		return struct {
			tier
			drivers.Adder
			drivers.PrefixDeleter
		}{w, w, w}
	case swaps | prefixes:
		return struct {
			tier
			drivers.Swapper
			drivers.PrefixDeleter
		}{w, w, w}
	case adds | swaps | prefixes:
		return struct {
			tier
			drivers.Adder
			drivers.Swapper
			drivers.PrefixDeleter
		}{w, w, w, w}
	case scans | prefixes:
		return struct {
			tier
			drivers.Scanner
			drivers.PrefixDeleter
		}{w, w, w}
	case adds | scans | prefixes:
		return struct {
			tier
			drivers.Adder
			drivers.Scanner
			drivers.PrefixDeleter
		}{w, w, w, w}
	case swaps | scans | prefixes:
		return struct {
			tier
			drivers.Swapper
			drivers.Scanner
			drivers.PrefixDeleter
		}{w, w, w, w}
	case adds | swaps | scans | prefixes:
		return struct {
			tier
			drivers.Adder
			drivers.Swapper
			drivers.Scanner
			drivers.PrefixDeleter
		}{w, w, w, w, w}
	case prunes:
		return struct {
			tier
			drivers.Pruner
		}{w, w}
	case adds | prunes:
		return struct {
			tier
			drivers.Adder
			drivers.Pruner
		}{w, w, w}
	case swaps | prunes:
		return struct {
			tier
			drivers.Swapper
			drivers.Pruner
		}{w, w, w}
	case adds | swaps | prunes:
		return struct {
			tier
			drivers.Adder
			drivers.Swapper
			drivers.Pruner
		}{w, w, w, w}
	case scans | prunes:
		return struct {
			tier
			drivers.Scanner
			drivers.Pruner
		}{w, w, w}
	case adds | scans | prunes:
		return struct {
			tier
			drivers.Adder
			drivers.Scanner
			drivers.Pruner
		}{w, w, w, w}
	case swaps | scans | prunes:
		return struct {
			tier
			drivers.Swapper
			drivers.Scanner
			drivers.Pruner
		}{w, w, w, w}
	case adds | swaps | scans | prunes:
		return struct {
			tier
			drivers.Adder
			drivers.Swapper
			drivers.Scanner
			drivers.Pruner
		}{w, w, w, w, w}
	case prefixes | prunes:
		return struct {
			tier
			drivers.PrefixDeleter
			drivers.Pruner
		}{w, w, w}
	case adds | prefixes | prunes:
		return struct {
			tier
			drivers.Adder
			drivers.PrefixDeleter
			drivers.Pruner
		}{w, w, w, w}
	case swaps | prefixes | prunes:
		return struct {
			tier
			drivers.Swapper
			drivers.PrefixDeleter
			drivers.Pruner
		}{w, w, w, w}
	case adds | swaps | prefixes | prunes:
		return struct {
			tier
			drivers.Adder
			drivers.Swapper
			drivers.PrefixDeleter
			drivers.Pruner
		}{w, w, w, w, w}
	case scans | prefixes | prunes:
		return struct {
			tier
			drivers.Scanner
			drivers.PrefixDeleter
			drivers.Pruner
		}{w, w, w, w}
	case adds | scans | prefixes | prunes:
		return struct {
			tier
			drivers.Adder
			drivers.Scanner
			drivers.PrefixDeleter
			drivers.Pruner
		}{w, w, w, w, w}
	case swaps | scans | prefixes | prunes:
		return struct {
			tier
			drivers.Swapper
			drivers.Scanner
			drivers.PrefixDeleter
			drivers.Pruner
		}{w, w, w, w, w}
	case adds | swaps | scans | prefixes | prunes:
		return struct {
			tier
			drivers.Adder
			drivers.Swapper
			drivers.Scanner
			drivers.PrefixDeleter
			drivers.Pruner
		}{w, w, w, w, w, w}
	}
	return struct{ tier }{w}
}
