package entry

import (
	"strings"

	"github.com/cachegen/cachegen/runtime/internal/keytext"
)

// Names of stamps. What follows the letter is a name that a user chose, so each kind of
// stamp has a letter of its own.
const (
	StoreStamp = "s" // of the whole store

	namespaceStamp = "n:"
	cacheStamp     = "c:" // of a cached function
	adHocStamp     = "a:" // of an ad-hoc cache
	tagStamp       = "t:"
)

// TagStamp names the stamp of a tag.
func TagStamp(tag string) string { return tagStamp + tag }

// TagStamps names the stamps of tags.
func TagStamps(tags []string) []string {
	names := make([]string, len(tags))
	for i, t := range tags {
		names[i] = TagStamp(t)
	}
	return names
}

// IsTagStamp reports whether name is that of a tag's stamp.
func IsTagStamp(name string) bool { return strings.HasPrefix(name, tagStamp) }

// NamespaceStamp names the stamp of the namespace with that path.
func NamespaceStamp(path []string) string { return namespaceStamp + joinNamespace(path) }

// A Cache names the entries that are cleared together: those of a cache, or, without a
// name, of a namespace and the namespaces inside it, or, without that, of the store.
type Cache struct {
	Namespace []string
	Name      string
	// AdHoc says that a program has chosen the name, and not generated code. The two have
	// nothing in common although they are called alike.
	AdHoc bool
}

// Stamp names the stamp that clears the entries.
func (c Cache) Stamp() string {
	path := joinNamespace(c.Namespace)
	switch {
	case c.AdHoc:
		return adHocStamp + path + ":" + c.Name
	case c.Name != "":
		return cacheStamp + path + ":" + c.Name
	case path != "":
		return namespaceStamp + path
	}
	return StoreStamp
}

// RequiredStamps names the stamps that every one of the entries carries, in the order in
// which it carries them.
func (c Cache) RequiredStamps() []string {
	names := []string{StoreStamp}
	for i := range c.Namespace {
		names = append(names, NamespaceStamp(c.Namespace[:i+1]))
	}
	if c.Name != "" {
		names = append(names, c.Stamp())
	}
	return names
}

// KeyPrefix returns what the full keys of the entries begin with, in a store with that
// prefix. Cached functions of one namespace write different texts behind one prefix. The
// prefix of an ad-hoc cache, of which any text may be a key, is its own: no namespace is
// written like its last part, because the mark would be escaped there.
func (c Cache) KeyPrefix(prefix string) string {
	path := joinNamespace(c.Namespace)
	if c.AdHoc {
		path += "@!" + escaped(c.Name)
	}
	if path == "" {
		return prefix
	}
	return prefix + path + ":"
}

// DescribeStamp says in words what the stamp of that name is of.
func DescribeStamp(name string) string {
	kind, rest, _ := strings.Cut(name, ":")
	switch kind + ":" {
	case tagStamp:
		return "tag " + rest
	case namespaceStamp:
		return "namespace " + strings.ReplaceAll(strings.TrimPrefix(rest, "@"), "@", "/")
	case cacheStamp, adHocStamp:
		_, cache, _ := strings.Cut(rest, ":")
		return "cache " + cache
	}
	return "all entries"
}

// SplitKey cuts a full key of a store into the prefix of its namespace or ad-hoc
// cache, and the rest.
func SplitKey(prefix, key string) (keyPrefix, text string) {
	n := min(len(prefix), len(key)) // a message may name anything
	if n < len(key) && key[n] == '@' {
		if i := strings.IndexByte(key[n:], ':'); i >= 0 {
			n += i + 1
		}
	}
	return key[:n], key[n:]
}

// joinNamespace returns how a path of namespaces is written in keys. Names are escaped:
// no two paths are written alike.
func joinNamespace(path []string) string {
	var b strings.Builder
	for _, name := range path {
		b.WriteString("@" + escaped(name))
	}
	return b.String()
}

// escaped returns a name as it is written in keys: it has no colon and no @, and does not
// begin with an exclamation mark.
func escaped(name string) string {
	return strings.ReplaceAll(string(keytext.AppendEscaped(nil, name)), "@", "%40")
}
