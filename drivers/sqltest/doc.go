// Package sqltest hands the connections of query builders and ORMs to the drivers of
// SQL databases. It has tests only.
package sqltest
