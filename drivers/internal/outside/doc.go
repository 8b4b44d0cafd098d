// Package outside tests what the modules of others get by requiring this one. It has
// tests only, in a place that nobody imports: go.sum of those who import a package also
// has what its tests need.
package outside
