//go:build unix

package servers

import (
	"fmt"
	"os"
	osuser "os/user"
	"strconv"
	"syscall"
)

// A user is the user of a program.
type user struct {
	attributes *syscall.SysProcAttr // nil: the user of the test
	uid, gid   int
}

// unprivileged returns the first of names that exists on this system, if the test runs as
// root.
func unprivileged(names ...string) (user, error) {
	if os.Geteuid() != 0 {
		return user{}, nil
	}
	for _, name := range names {
		found, err := osuser.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(found.Uid, 10, 32)
		if err != nil {
			return user{}, err
		}
		gid, err := strconv.ParseUint(found.Gid, 10, 32)
		if err != nil {
			return user{}, err
		}
		return user{
			attributes: &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}},
			uid:        int(uid), gid: int(gid),
		}, nil
	}
	return user{}, fmt.Errorf("root cannot run the server, and none of the users %q exists", names)
}

func (u user) own(path string) error {
	if u.attributes == nil {
		return nil
	}
	return os.Chown(path, u.uid, u.gid)
}
