package runtime

// All returns several options of a store as one, in order.
func All(options ...StoreOption) StoreOption { return allOptions(options) }

type allOptions []StoreOption

func (a allOptions) applyToStore(c *storeConfig) {
	for _, o := range a {
		o.applyToStore(c)
	}
}
