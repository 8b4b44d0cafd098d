// Package runs simulates many processes on one shared tier, one bus and one database, in one
// bubble of testing/synctest, and looks for promises that the cache does not keep.
//
// A plan follows from a seed: how many processes there are, what their clients do, and what may
// go wrong. A run lets one event happen, waits until all goroutines wait, and lets the next one
// happen. What can happen next is listed in possible.go and ofcalls.go: an operation begins, a
// command takes effect, its answer arrives or is lost, a client repeats it; a message arrives, is
// lost, comes twice; a loader reads, returns, fails; time passes; a process stands still, dies,
// loses the tier or the bus; the tier forgets something, or returns to an older state. Which one
// it is, the seed says. In some plans transactions write into an outbox what they change, and
// processes die before they have carried it out. When the clients are done everything works again (heal.go): what was under way
// must end, nothing may be lost, and every process is asked for every row. Then package record
// looks at all that clients got.
//
// # To run it
//
//	go test ./runtime/internal/simulation/... -run Simulation                  # a few seconds
//	go test ./runtime/internal/simulation/... -run Simulation -seeds 10000
//	go test ./runtime/internal/simulation/... -run Simulation -for 3m
//	go test ./runtime/internal/simulation/... -run Simulation -seed 4711 -v    # one, and what happens in it
//
// A run uses one core. With two of them, give one -first 0 and another -first 1000000.
//
// # To read a failure
//
// A failure names the seed and what may go wrong in it. The events follow that are needed to see
// the failure, out of some hundred: those that can be left out were left out, and the times
// between them are as short as they can be. So times in such a list mean little, unless they are
// long. In each line are the time, the process and what happens there; what a command found is
// in its line. The last lines say which promise was broken.
//
// A seed repeats its run exactly. So that it does, nothing but the seed decides what happens:
// each goroutine that asks for something outside of its process waits, and so does one whose time
// is over before it leaves (package steps); random numbers follow from the seed, the last event and
// what they are for, no two keys share a stripe (processes.HashSeed), memory is not collected
// during a run, and one goroutine runs at a time. Two things remain. A goroutine that the machine
// has interrupted for 10 ms goes to the end of the queue: that changes about one of ten thousand
// runs, on a machine that is busy. And with the race detector the scheduler draws which of several
// goroutines of a process that were woken together runs first: repeat a seed without it.
//
// # What it finds
//
// TestEachMutationIsFound breaks the simulated drivers on purpose, and says by which seed that is
// found.
//
// # What it does not cover
//
// Codecs, limits of memory and of queues, and many keys: see package simulation, whose models
// have other operations. Real drivers, which are tested with their servers. Goroutines of one
// process that disturb each other between two commands: tests with the race detector do that. Of
// a process that stands still, its timers go on; so its coarse clock is never late.
//
// # To extend it
//
// A new operation of clients is a record.Kind, with the versions that nobody may read after it
// (record.Op.Reaches), and a case of client.do. A new way of failing is a fault of the plan and
// an eventKind. A new promise is a record.Promise, with cases in the test of the checker. A
// mutation of a driver shows that it is found.
package runs
