package processes

import (
	"hash/maphash"

	"github.com/cachegen/cachegen/runtime/internal/entry"
	"github.com/cachegen/cachegen/runtime/internal/memory"
	"github.com/cachegen/cachegen/runtime/internal/remote"
	"github.com/cachegen/cachegen/runtime/internal/stamp"
)

// MostRows is how many rows a database has at most.
const MostRows = 3

// stripes is the number of stripes by which the runtime groups keys, and names of stamps.
const stripes = 4096

// HashSeed returns a seed under which no two keys or stamps of a simulation share a stripe.
// The seed of a hash cannot be chosen, and those who share a stripe disturb each other: with
// any other seed a run would not always repeat itself.
func HashSeed() maphash.Seed {
	for {
		if s := maphash.MakeSeed(); apart(s) {
			return s
		}
	}
}

func apart(s maphash.Seed) bool {
	keys, stamps := make(map[uint64]bool), make(map[uint64]bool)
	names := []string{entry.StoreStamp, entry.NamespaceStamp(rows.Namespace), rows.Stamp()}
	m := memory.New(memory.Config{Seed: s, Stamps: new(stamp.Table), Remote: new(remote.Tier)})
	defer m.Stop()
	for row := range MostRows {
		names = append(names, entry.TagStamp(string(rowTag(row))))
		keys[m.Hash(keyOf(row))%stripes] = true
	}
	names = append(names, entry.TagStamp(string(groupTag(0))), entry.TagStamp(string(groupTag(1))))
	for _, name := range names {
		stamps[maphash.String(s, name)%stripes] = true
	}
	return len(keys) == MostRows && len(stamps) == len(names)
}
