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
	cacheStamp     = "c:"
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

// CacheStamp names the stamp that clears one cache: its own, or for an ad-hoc cache,
// whose name is empty, that of its namespace or store.
func CacheStamp(namespace []string, cache string) string {
	path := joinNamespace(namespace)
	switch {
	case cache != "":
		return cacheStamp + path + ":" + cache
	case path != "":
		return namespaceStamp + path
	}
	return StoreStamp
}

// RequiredStamps names the stamps that every entry of a cache carries, in the order in
// which it carries them.
func RequiredStamps(namespace []string, cache string) []string {
	names := []string{StoreStamp}
	for i := range namespace {
		names = append(names, NamespaceStamp(namespace[:i+1]))
	}
	if cache != "" {
		names = append(names, CacheStamp(namespace, cache))
	}
	return names
}

// DescribeStamp says in words what the stamp of that name is of.
func DescribeStamp(name string) string {
	kind, rest, _ := strings.Cut(name, ":")
	switch kind + ":" {
	case tagStamp:
		return "tag " + rest
	case namespaceStamp:
		return "namespace " + strings.ReplaceAll(strings.TrimPrefix(rest, "@"), "@", "/")
	case cacheStamp:
		_, cache, _ := strings.Cut(rest, ":")
		return "cache " + cache
	}
	return "all entries"
}

// KeyPrefix returns what the full keys of a namespace begin with, in a store with that
// prefix.
func KeyPrefix(prefix string, namespace []string) string {
	if len(namespace) == 0 {
		return prefix
	}
	return prefix + joinNamespace(namespace) + ":"
}

// SplitKey cuts a full key of a store into the prefix of its namespace and the rest.
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
	var b []byte
	for _, name := range path {
		b = append(b, '@')
		escaped := string(keytext.AppendEscaped(nil, name))
		b = append(b, strings.ReplaceAll(escaped, "@", "%40")...)
	}
	return string(b)
}
