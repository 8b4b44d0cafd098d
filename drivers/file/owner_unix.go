//go:build unix

package file

import (
	"io/fs"
	"os"
	"syscall"
)

// dontWait keeps an open from waiting for the other end of a pipe.
const dontWait = syscall.O_NONBLOCK

// trusted reports whether a file belongs to the user of this process, or to root, who can
// change everything anyway.
func trusted(info fs.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return ok && (s.Uid == 0 || int(s.Uid) == os.Geteuid())
}

func writableByOthers(info fs.FileInfo) bool { return info.Mode().Perm()&0o022 != 0 }

// severalNames reports whether a file has a hard link: it could be one of another program.
func severalNames(info fs.FileInfo) bool {
	s, ok := info.Sys().(*syscall.Stat_t)
	return !ok || s.Nlink > 1
}
