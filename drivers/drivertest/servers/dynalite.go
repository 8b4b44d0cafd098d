package servers

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

const installNode = "run .ci/install-node-servers, which needs Node 20 and npm"

// A DynaliteServer is a dynalite process, an emulator of DynamoDB. It keeps its tables in
// memory and loses them when it stops.
type DynaliteServer struct {
	process
}

// Dynalite starts dynalite for the duration of the test.
func Dynalite(t testing.TB) *DynaliteServer {
	t.Helper()
	RequireDynalite(t)
	s, err := StartDynalite()
	return forTest(t, s, err)
}

// RequireDynalite skips or fails the test if dynalite is not installed. It is for tests
// that share a server of [StartDynalite].
func RequireDynalite(t testing.TB) {
	t.Helper()
	requireBinary(t, "node", installNode)
	requireFile(t, dynaliteProgram(), installNode)
}

// StartDynalite starts dynalite for longer than one test. The caller stops it with Close.
func StartDynalite() (*DynaliteServer, error) {
	s := &DynaliteServer{process{
		name: "node",
		args: func(port string) []string {
			return []string{
				dynaliteProgram(), "--host", "127.0.0.1", "--port", port,
				"--createTableMs", "0", "--deleteTableMs", "0", "--updateTableMs", "0",
			}
		},
		ready: "Dynalite listening at",
		ping:  pingDynamoDB,
	}}
	return s, s.start()
}

// URL returns the address as a base endpoint of the AWS SDK.
func (s *DynaliteServer) URL() string { return "http://" + s.Addr() }

func dynaliteProgram() string {
	return filepath.Join(nodeServers(), "node_modules", "dynalite", "cli.js")
}

// nodeServers returns the directory of the servers that npm installs:
// CACHEGEN_NODE_SERVERS, or a directory in the user's cache.
func nodeServers() string {
	if dir := os.Getenv("CACHEGEN_NODE_SERVERS"); dir != "" {
		return dir
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	return filepath.Join(cache, "cachegen-test", "node")
}

func requireFile(t testing.TB, path, install string) {
	t.Helper()
	if _, err := os.Stat(path); err == nil {
		return
	}
	message := fmt.Sprintf("%s is not installed: %s", path, install)
	if os.Getenv("CACHEGEN_SERVERS") == "require" {
		t.Fatal(message)
	}
	t.Skip(message)
}

// pingDynamoDB accepts any answer, because the server refuses a request without a signature.
func pingDynamoDB(addr string) error {
	client := http.Client{Timeout: startTimeout}
	defer client.CloseIdleConnections()
	answer, err := client.Get("http://" + addr + "/")
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	return err
}
