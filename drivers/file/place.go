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
	// headSize is how many bytes of a key are in the name. Names stay short enough for
	// file systems that encrypt names.
	headSize = 60
)

// A place is the shard and the file name of a key. The name is a hash of the key, and the
// beginning of the key, so that a scan need not open files whose keys cannot have its
// prefix. A name has digits, lower-case letters and a hyphen only: a key cannot lead out of
// the directory, and two keys have different names also where the file system ignores case.
type place struct {
	shard int
	name  string // without ending
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

// parseName returns the beginning of the key in the name of a file. ok is false if the
// driver does not make such names.
func parseName(name, ending string) (head []byte, ok bool) {
	name, ok = strings.CutSuffix(name, ending)
	if !ok || len(name) <= hashDigits || name[hashDigits] != '-' || strings.Trim(name[:hashDigits], "0123456789abcdef") != "" {
		return nil, false
	}
	head, err := headText.DecodeString(name[hashDigits+1:])
	return head, err == nil && len(head) <= headSize
}

// canBegin reports whether a key can have prefix. head is the beginning of the key, and the
// whole key if head is shorter than headSize.
func canBegin(head []byte, prefix string) bool {
	n := min(len(head), len(prefix))
	return bytes.Equal(head[:n], []byte(prefix[:n])) && (n == len(prefix) || len(head) == headSize)
}
