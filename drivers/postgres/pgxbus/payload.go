package pgxbus

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
	"time"
)

// maxPart is how many bytes of a message one notification carries. In Base64, with two
// numbers in front, they are less than the 8000 bytes that PostgreSQL allows.
const maxPart = 5900

// split divides message into payloads of notifications. A payload is the index of the part,
// the number of parts, and the part in Base64, with a colon after each number. The
// notifications have to be sent in one transaction, so that no other notification comes
// between them and none is lost alone. The index makes equal parts different: PostgreSQL
// sends equal notifications of a transaction only once.
func split(message []byte) []string {
	n := max(1, (len(message)+maxPart-1)/maxPart)
	parts := make([]string, n)
	for i := range parts {
		part := message[i*maxPart : min((i+1)*maxPart, len(message))]
		parts[i] = strconv.Itoa(i) + ":" + strconv.Itoa(n) + ":" + base64.RawStdEncoding.EncodeToString(part)
	}
	return parts
}

const (
	// maxMessage is the longest message in bytes. Of a longer one nothing is kept.
	maxMessage = 16 << 20
	maxParts   = (maxMessage + maxPart - 1) / maxPart
	// partsWait is how long the rest of a message is waited for. The parts of one
	// transaction arrive one after the other.
	partsWait = 30 * time.Second
)

// An assembly joins the parts of a message. There is one at a time: who may notify can make a
// process keep one unfinished message, for a while.
type assembly struct {
	message []byte
	next, n int       // the index of the next part, and the number of parts
	began   time.Time // when the first part came
}

// expire forgets a message whose rest has not come.
func (a *assembly) expire(now time.Time) {
	if now.Sub(a.began) > partsWait {
		*a = assembly{}
	}
}

// add adds the payload of the next notification, and returns the message when it is
// complete. It ignores payloads that split does not make, which other programs have sent.
func (a *assembly) add(payload string, now time.Time) (message []byte, whole bool) {
	a.expire(now)
	place, rest, ok1 := strings.Cut(payload, ":")
	count, text, ok2 := strings.Cut(rest, ":")
	i, err1 := strconv.Atoi(place)
	n, err2 := strconv.Atoi(count)
	part, err3 := base64.RawStdEncoding.DecodeString(text)
	if !ok1 || !ok2 || err1 != nil || err2 != nil || err3 != nil || i < 0 || i >= n || n > maxParts {
		return nil, false
	}
	if i == 0 {
		*a = assembly{message: []byte{}, n: n, began: now}
	}
	if i != a.next || n != a.n || len(part) > maxPart {
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

// identifier returns the PostgreSQL name of channel: channel itself, or a hash of it if it
// is too long or empty, or has characters that depend on the database's encoding.
func identifier(channel string) string {
	const longest = 63
	strange := func(r rune) bool { return r < ' ' || r > '~' }
	if channel != "" && len(channel) <= longest && !strings.ContainsFunc(channel, strange) && !strings.HasPrefix(channel, hashed) {
		return channel
	}
	sum := sha256.Sum256([]byte(channel))
	return hashed + hex.EncodeToString(sum[:20])
}
