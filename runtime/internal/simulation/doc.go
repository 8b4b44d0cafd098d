// Package simulation runs the runtime in virtual time, under random operations, and checks
// what its callers get.
//
// There are two models of it:
//
//   - One caller at a time, on tiers that do not fail, against a reference: each value and
//     error, what is there, how often the source is asked, and when each call returns. The
//     reference is what the documentation says of a store, without stamps, messages or
//     locks: see reference.
//   - Many callers in one or two processes, on a shared tier and a bus that are slow, fail,
//     forget and repeat. What they did is a history, in which package history looks for
//     broken promises. Nothing is read that is older than an invalidation that has
//     returned, in its own process at once, in others when the message must have arrived, or
//     when they must have asked the shared tier. Nothing is read past its TTL and grace. Of
//     each key one load runs at a time in a process. No value is pulled twice by callers of
//     one process. When everything works again, a store closes without having lost an
//     invalidation.
//
// # To run it
//
// The tests run some thousand operations. More of them:
//
//	CACHEGEN_MODEL_OPS=1000000 go test ./runtime/internal/simulation -run TestModelOf -rapid.checks 500 -v
//
// # To repeat a failure
//
// All that is random follows from the numbers that rapid draws: operations, faults, delays,
// and, by package random, the stamps, the jitter and the origin of each store. A failure
// says how to repeat it, by the flag -rapid.seed or by the file that rapid has written,
// which holds the shrunk failure:
//
//	go test ./runtime/internal/simulation -run TestModelOfManyCallers -rapid.seed 1234567
//
// A run of one caller repeats its operations, results and times; only new stamps that a store
// makes in two goroutines at once may change places. Of many callers those who wake up at
// the same nanosecond go on in the order that the scheduler chooses. All delays are drawn to
// the nanosecond, so that is rare, but those who wait for one load do wake up together. With
// GOMAXPROCS=1 about four of five runs repeat to the letter, otherwise half of them: such a
// failure may take several attempts. Go's hash seeds cannot be chosen. They decide only
// which keys share a lock, or a slot of a table that may answer yes too often.
//
// # What it does not cover
//
// More than two processes, and processes that pause, crash or are closed under load; clocks
// that differ; a shared tier that returns to an older state, or whose client repeats a command;
// messages that are lost although the connection is up, or that arrive in another order:
// package runs simulates these, one event at a time. Here the many callers run without the
// circuit breaker. Nor are covered suppressed errors of the shared tier, the codecs, and the
// limits of memory and of queues. What two processes do to each other's loads: a load of one may
// write what another has just deleted, so a version that another process wrote after a deletion
// by key is not held against it. And drivers: they are tested against real servers.
//
// # To extend it
//
// A new operation of a store belongs into the workload and into the operations, which
// record it, into the actions of the one caller, and into the reference. A new fault belongs
// to the faults and into the tierConn or the bus. A new promise is a method of the checker of
// package history, with cases in its test, which shows that it finds what is wrong. Whether
// a change has made the models weaker is found out by breaking the runtime on purpose.
//
// Nothing is exported: the package's tests are its only user, and no package imports it. Package
// runs does not share the checker of package history: there each answer of the source is a
// version of its own, and processes are checked one by one; in runs rows have versions that
// grow, so that a read in any process can be compared with any change.
package simulation
