// Package sqltest hands the connections of query builders and ORMs to the drivers of
// SQL databases. The directories below it test each of these drivers with a client and a
// real database. It has tests only.
package sqltest
