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
// Amazon's own, so nothing installs it: CACHEGEN_DYNAMODB_LOCAL names the directory
// that holds DynamoDBLocal.jar, as unpacked by somebody who has agreed to it. The test
// is skipped where the variable is empty, whatever CACHEGEN_SERVERS says.
func DynamoDBLocal(t testing.TB) *DynamoDBLocalServer {
	t.Helper()
	dir := os.Getenv("CACHEGEN_DYNAMODB_LOCAL")
	if dir == "" {
		t.Skip("set CACHEGEN_DYNAMODB_LOCAL to the directory of DynamoDBLocal.jar to run this against DynamoDB Local")
	}
	install := "see Amazon's guide to deploying DynamoDB locally"
	requireBinary(t, "java", "apt-get install default-jre-headless")
	requireFile(t, filepath.Join(dir, "DynamoDBLocal.jar"), install)
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
