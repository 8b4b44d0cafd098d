# make demo     see what the cache does; needs nothing but Go
# make quick    what can be known within two minutes; installs nothing, starts no server
# make test     all tests, against real servers
# make check    formatting, vet, staticcheck, generated code, go.mod
# make lint     golangci-lint
# make bench    the benchmark against the peers

# Not tools of go.mod: those who use cachegen would inherit what it requires.
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOLANGCI = github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

# Everything written in Go, but for inputs of tests, which may be wrong on purpose.
GOFILES = find . -name '*.go' -not -path '*/testdata/*' -not -path './.git/*'

# For the go command, "work" is every package of every module of go.work.

.PHONY: demo quick test servers format check lint bench

# With REDIS_URL in the environment: two instances that share that Redis.
demo:
	go generate ./example/...
	go run ./example -demo

# While one works. Tests that need a server, a C compiler or much time are left to make test.
quick: format
	packages=$$(go list work | grep -v /drivers/sqltest) && go vet $$packages && CACHEGEN_SERVERS=none go test -short $$packages

# Tests start the servers they need. Without a server's program they are skipped,
# or fail if CACHEGEN_SERVERS is require.
#
# The scripts of the generator build and run other programs most of the time. They go
# without the race detector; the one test that is about concurrency there goes with it.
test: servers
	go test ./cmd/cachegen ./cmd/cachegen/analyzer
	go test -race -run Determin ./cmd/cachegen
	packages=$$(go list work | grep -vE '/cmd/cachegen(/analyzer)?$$') && go test -race -p 3 -timeout 20m $$packages

servers:
	@.ci/install

format:
	@unformatted=$$(gofmt -s -l $$($(GOFILES))); test -z "$$unformatted" || { echo "gofmt -s -w has to be run on:"; echo "$$unformatted"; exit 1; }

check: format
	go vet work
	go run $(STATICCHECK) work
	.ci/generated $(STATICCHECK)
	go run ./cmd/cachegen -check ./... ./example/...
	.ci/tidy -diff

# Not a part of check: to compile golangci-lint takes minutes, the first time.
lint:
	go run $(GOLANGCI) run $$(.ci/modules | sed 's,.*,./&/...,')

bench:
	@echo "make bench: the benchmark against the peers is not there yet."
	@echo "The runtime's own benchmarks: go test -run '^$$' -bench . ./runtime ./drivers/..."
