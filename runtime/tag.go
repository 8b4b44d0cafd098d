package runtime

// A Tag is a name under which entries can be invalidated together. Tags belong to
// a store: caches of one store share them. Any string is a tag; generated code
// makes them with functions such as TeamTag.
type Tag string
