package file

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"strings"
)

const (
	entryName = ".entry"
	leaseName = ".lease"

	hashDigits = 32
	// headSize is how much of a key is in the name. Names stay short enough for file
	// systems that encrypt them.
	headSize = 60
)

// A place is where a key lies: in a shard, under a hash of the key, followed by how the
// key begins so that a scan need not open what cannot have its prefix. Names have
// digits and lower-case letters only: nothing in a key can lead elsewhere, and no two
// keys meet where case is not told apart.
type place struct {
	shard int
	name  string // without its ending
}

var headText = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

func placeOf(key string) place {
	sum := sha256.Sum256([]byte(key))
	b := make([]byte, 0, hashDigits+1+headSize*8/5)
	b = hex.AppendEncode(b, sum[1:1+hashDigits/2])
	b = append(b, '-')
	b = headText.AppendEncode(b, []byte(key[:min(len(key), headSize)]))
	return place{int(sum[0]), string(b)}
}

// parseName returns how a key begins whose file is called name. ok is false if this
// driver gives no such name.
func parseName(name, ending string) (head []byte, ok bool) {
	name, ok = strings.CutSuffix(name, ending)
	if !ok || len(name) <= hashDigits || name[hashDigits] != '-' || strings.Trim(name[:hashDigits], "0123456789abcdef") != "" {
		return nil, false
	}
	head, err := headText.DecodeString(name[hashDigits+1:])
	return head, err == nil && len(head) <= headSize
}

// canBegin reports whether a key that begins with head, and is head if that is shorter
// than it could be, can begin with prefix.
func canBegin(head []byte, prefix string) bool {
	n := min(len(head), len(prefix))
	return bytes.Equal(head[:n], []byte(prefix[:n])) && (n == len(prefix) || len(head) == headSize)
}
