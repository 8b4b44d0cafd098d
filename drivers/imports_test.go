package drivers_test

import (
	"os/exec"
	"strings"
	"testing"
)

// A program pays for the drivers that it uses and for no other.
func TestDriversDoNotPullEachOtherIn(t *testing.T) {
	libraries := []string{"github.com/redis/go-redis", "github.com/maypok86/otter", "modernc.org/sqlite", "database/sql", "testing"}
	for driver, own := range map[string]string{
		".": "", "./memory": "github.com/maypok86/otter", "./redis": "github.com/redis/go-redis", "./sqlite": "database/sql",
	} {
		out, err := exec.Command("go", "list", "-deps", driver).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", driver, err, out)
		}
		dependencies := strings.Fields(string(out))
		for _, library := range libraries {
			for _, dependency := range dependencies {
				under := dependency == library || strings.HasPrefix(dependency, library+"/")
				if under && library != own {
					t.Errorf("%s imports %s", driver, dependency)
				}
			}
		}
	}
}
