package remote

import "context"

// WroteLately reports whether a report that a key has changed may be about a write of this
// process. [Tier.ChangedByOthers] tells.
func (t *Tier) WroteLately(key string) bool {
	_, ok := t.written.Last(key)
	return ok
}

// ChangedByOthers returns those of keys, which were reported as changed, that hold something
// else than this process has written last. If the tier does not answer, that is all.
func (t *Tier) ChangedByOthers(ctx context.Context, keys []string) (changed []string) {
	before := make([]uint64, len(keys))
	for i, key := range keys {
		before[i], _ = t.written.Last(key)
	}
	values, err := t.get(ctx, t.Timeout, keys)
	if err != nil {
		return keys
	}
	for i, key := range keys {
		if !t.written.Own(key, values[i], before[i]) {
			changed = append(changed, key)
		}
	}
	return changed
}
