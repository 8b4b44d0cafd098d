// Package conventions tests what holds for the sources of all modules of the repository: under
// which names packages are imported, what errors say, and what the documentation of the public
// packages can show. It has tests only.
package conventions
