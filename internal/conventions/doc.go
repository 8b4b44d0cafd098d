// Package conventions tests what holds for the whole repository: under which names packages are
// imported, what errors say, what the documentation of the public packages can show, and what all
// drivers have in common. It has tests only, in a place that nobody imports: go.sum of those who
// import a package also has what its tests need.
package conventions
