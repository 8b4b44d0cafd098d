package policy

// A Call is what one call says besides its keys.
type Call struct {
	Options
	Tags       []string
	ForceFresh bool // load although there is a value
	AllowStale bool // a value in its grace period will do
}
