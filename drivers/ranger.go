package drivers

// A Ranger is an [L1] that can say what it holds, so that a program can start warm.
type Ranger interface {
	// Range calls f with the items that are there when it is called, those first that
	// the tier would keep longest as far as it knows, until f returns false. Items that
	// come or go meanwhile may be left out or not. f may use the tier.
	Range(f func(item any) bool)
}
