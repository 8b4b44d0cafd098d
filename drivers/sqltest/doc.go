// Package sqltest tests the drivers of SQL databases with the connections of query builders
// and ORMs. It has tests only.
package sqltest
