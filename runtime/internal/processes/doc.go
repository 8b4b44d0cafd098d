// Package processes tests the promises across processes with real ones: each is a program of
// its own, on real servers, and reaches them through a gateway of the test that can be slow,
// lose what passes in one direction, and cut connections.
//
// The parent (the test) is the database: it has the version of each row, and counts loads. A
// child is the test's own program, started again. It does what the parent tells it, or works by
// itself for a while, and reports each read and each write with its time. All processes are on
// one machine, so their times can be compared. What is checked:
//
//   - A read returns nothing that is older than an invalidation of the same process that has
//     returned before it.
//   - A read returns nothing that is older than an invalidation of another process that had
//     returned nil longer ago than the documented bound.
//   - When everything works again, all processes read what the database has.
//
// The tests take a second or two for each fault. For longer runs:
//
//	go test ./runtime/internal/processes -run Fault -fault-time 20s -v
//
// Nothing is exported, and no package imports this one.
package processes
