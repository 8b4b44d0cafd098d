// Package bench will run this project against its peers in one run. It is a module
// of its own, so that the peers never enter the dependencies of those who use
// cachegen. There is nothing here yet.
package bench
