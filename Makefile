# make demo     see what the cache does; needs nothing but Go
# make test     all tests, against real servers
# make check    formatting, vet, staticcheck, generated code, go.mod
# make bench    the benchmark against the peers

# Not a tool of go.mod: those who use cachegen would inherit what it requires.
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

# "work" is every package of every module of go.work.

# Everything written in Go, but for inputs of tests, which may be wrong on purpose.
GOFILES = find . -name '*.go' -not -path '*/testdata/*' -not -path './.git/*'

.PHONY: demo test check bench servers

# With REDIS_URL in the environment: two instances that share that Redis.
demo:
	go generate ./example/...
	go run ./example -demo

# Tests start the servers they need. Without a server's program they are skipped,
# or fail if CACHEGEN_SERVERS is require.
#
# The scripts of the generator build and run other programs most of the time. They go
# without the race detector; the one test that is about concurrency there goes with it.
test: servers
	go test ./cmd/cachegen ./cmd/cachegen/analyzer
	go test -race -run Determin ./cmd/cachegen
	packages=$$(go list work | grep -vE '/cmd/cachegen(/analyzer)?$$') && go test -race -timeout 20m $$packages

servers:
	@.ci/install

check:
	@unformatted=$$(gofmt -s -l $$($(GOFILES))); test -z "$$unformatted" || { echo "gofmt -s -w has to be run on:"; echo "$$unformatted"; exit 1; }
	go vet work
	go run $(STATICCHECK) work
	.ci/generated $(STATICCHECK)
	go run ./cmd/cachegen -check ./... ./example/...
	.ci/tidy -diff

bench:
	@echo "make bench: the benchmark against the peers is not there yet."
	@echo "The runtime's own benchmarks: go test -run '^$$' -bench . ./runtime ./drivers/..."
