package pgxbus

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
)

// maxPart is how many bytes of a message one notification carries: in Base64, and with
// two numbers before it, less than the 8000 bytes that Postgres allows.
const maxPart = 5900

// split returns message as payloads of notifications: its place, the number of parts,
// and the part in Base64, with a colon after each number. They have to be sent in one
// transaction: then no other notification comes between them, and none gets lost
// alone. Their places keep equal parts apart, of which Postgres would send one.
func split(message []byte) []string {
	n := max(1, (len(message)+maxPart-1)/maxPart)
	parts := make([]string, n)
	for i := range parts {
		part := message[i*maxPart : min((i+1)*maxPart, len(message))]
		parts[i] = strconv.Itoa(i) + ":" + strconv.Itoa(n) + ":" + base64.RawStdEncoding.EncodeToString(part)
	}
	return parts
}

// An assembly puts the parts of a message together again.
type assembly struct {
	message []byte
	next, n int // which part comes, of how many
}

// add takes the payload of the next notification, and returns the message once it is
// whole. What does not fit is somebody else's, and ignored.
func (a *assembly) add(payload string) (message []byte, whole bool) {
	place, rest, ok1 := strings.Cut(payload, ":")
	count, text, ok2 := strings.Cut(rest, ":")
	i, err1 := strconv.Atoi(place)
	n, err2 := strconv.Atoi(count)
	part, err3 := base64.RawStdEncoding.DecodeString(text)
	if !ok1 || !ok2 || err1 != nil || err2 != nil || err3 != nil || i < 0 || i >= n {
		return nil, false
	}
	if i == 0 {
		*a = assembly{message: []byte{}, n: n}
	}
	if i != a.next || n != a.n {
		*a = assembly{}
		return nil, false
	}
	a.message = append(a.message, part...)
	a.next++
	if a.next < a.n {
		return nil, false
	}
	message = a.message
	*a = assembly{}
	return message, true
}

const hashed = "sha256:"

// identifier returns the name of channel in Postgres: itself, or a hash where it is
// too long, is empty, or has characters that depend on the database's encoding.
func identifier(channel string) string {
	const longest = 63
	strange := func(r rune) bool { return r < ' ' || r > '~' }
	if channel != "" && len(channel) <= longest && !strings.ContainsFunc(channel, strange) && !strings.HasPrefix(channel, hashed) {
		return channel
	}
	sum := sha256.Sum256([]byte(channel))
	return hashed + hex.EncodeToString(sum[:20])
}
