package drivers_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A program pays for the drivers that it uses and for no other.
func TestDriversDoNotPullEachOtherIn(t *testing.T) {
	libraries := []string{"github.com/redis/go-redis", "github.com/maypok86/otter", "modernc.org/sqlite", "database/sql",
		"github.com/aws/aws-sdk-go-v2", "github.com/nats-io/nats.go", "github.com/jackc/pgx",
		"github.com/go-sql-driver/mysql", "testing"}
	for driver, own := range map[string]string{
		".": "", "./memory": "github.com/maypok86/otter", "./redis": "github.com/redis/go-redis", "./sqlite": "database/sql",
		"./dynamodb": "github.com/aws/aws-sdk-go-v2", "./nats": "github.com/nats-io/nats.go",
		"./postgres": "database/sql", "./mysql": "database/sql", "./postgres/pgxbus": "github.com/jackc/pgx database/sql",
	} {
		out, err := exec.Command("go", "list", "-deps", driver).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", driver, err, out)
		}
		dependencies := strings.Fields(string(out))
		for _, library := range libraries {
			for _, dependency := range dependencies {
				under := dependency == library || strings.HasPrefix(dependency, library+"/")
				if under && !slices.Contains(strings.Fields(own), library) {
					t.Errorf("%s imports %s", driver, dependency)
				}
			}
		}
	}
}
