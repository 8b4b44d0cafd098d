package runtime

// A Tag is a name under which entries can be invalidated together. Tags belong to
// a store: caches of one store share them. Any string is a tag; generated code
// makes them with functions such as TeamTag.
type Tag string

// tagNames returns tags as strings, in a slice of their own.
func tagNames(tags []Tag) []string {
	names := make([]string, len(tags))
	for i, t := range tags {
		names[i] = string(t)
	}
	return names
}
