// Package seal encrypts and authenticates values with AES-256-GCM on their way into any
// shared tier, and decrypts them when they are read.
//
//	key, err := base64.StdEncoding.DecodeString(os.Getenv("CACHE_KEY")) // openssl rand -base64 32
//	tier := seal.New(redis.New(client, redis.Options{}), seal.Options{Keys: [][]byte{key}})
//	store, err := runtime.NewStore("main", runtime.L2(tier))
//
// The result of [New] has the capabilities of the tier behind it ([drivers.Wrapper]), and
// encrypts and decrypts in each of them.
//
// Each value is bound to its key: a value that is moved to another key of the tier cannot
// be decrypted. Nonces have 192 random bits (XAES-256-GCM, c2sp.org/XAES-256-GCM), so one
// secret key is safe for any number of writes.
//
// # Concurrency
//
// The result of [New] keeps no state and has no lock.
//
// # Rotation
//
// The first of Options.Keys encrypts, all of them decrypt; each stored value names its
// secret key. To rotate, give every process the new key as the second one, then make it
// the first, and remove the old key when the values encrypted with it are past their TTL.
//
// # Limits
//
// A value that cannot be decrypted is absent: one of an unknown secret key, a damaged one,
// or one stored without encryption. Reads do not find it, and an add or a swap replaces it.
// Processes that share a tier but not their secret keys, or of which only some encrypt,
// replace each other's values all the time. So give the store another runtime.Prefix when
// you begin to encrypt.
//
// Whoever can read the tier sees keys, lengths and TTLs. Whoever can write to the tier can
// remove a value, or put back a value that the same key had before.
//
// A swap that expects a value costs one more read. A stored value is 48 bytes longer.
package seal

import (
	"bytes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/internal/wrap"
)

// Options of [New].
type Options struct {
	// Keys are secret keys of 32 random bytes each, at least one: the first encrypts, all
	// decrypt. A passphrase is not a secret key.
	Keys [][]byte
	// Unreadable, if not nil, is called with each value that cannot be decrypted. It
	// must not block.
	Unreadable func(key string, err error)
}

// New returns an L2 that stores encrypted values in tier. Closing it closes tier. If options
// are unusable every operation fails: the [drivers.Checker] of the result returns the
// reason, and runtime.NewStore refuses it.
func New(tier drivers.L2, options Options) drivers.L2 {
	c, err := newCoding(options.Keys)
	return wrap.New(tier, c, wrap.Options{Name: "seal", Err: err, Unreadable: options.Unreadable})
}

// A stored value is magic, the id of the secret key, the nonce, and the output of GCM for
// the value, with the cache key as additional data.
var magic = []byte("\xf5cg\x01")

const (
	idSize    = 4
	nonceSize = 24
	tagSize   = 16
)

type coding []secret

type secret struct {
	id [idSize]byte
	xaes
}

func newCoding(keys [][]byte) (coding, error) {
	if len(keys) == 0 {
		return nil, errors.New("option Keys is empty")
	}
	c := make(coding, len(keys))
	for i, key := range keys {
		if len(key) != 32 {
			return nil, fmt.Errorf("option Keys[%d] has %d bytes, must have 32", i, len(key))
		}
		id, err := hkdf.Key(sha256.New, key, nil, "cachegen seal key id", idSize)
		if err != nil {
			return nil, err
		}
		c[i].id = [idSize]byte(id)
		if c[i].xaes, err = newXAES(key); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// Encode implements [wrap.Coding].
func (c coding) Encode(key string, value []byte) ([]byte, error) {
	b := make([]byte, 0, len(magic)+idSize+nonceSize+len(value)+tagSize)
	b = append(append(b, magic...), c[0].id[:]...)
	b = b[:len(b)+nonceSize]
	nonce := b[len(b)-nonceSize:]
	rand.Read(nonce) // never fails
	aead, err := c[0].derive(nonce)
	if err != nil {
		return nil, err
	}
	return aead.Seal(b, nonce[derivation:], value, []byte(key)), nil
}

var (
	errForeign = errors.New("the stored value was not encrypted by this package")
	errKey     = errors.New("the stored value was encrypted with a secret key that is not in Options.Keys, or is damaged")
)

// Decode implements [wrap.Coding].
func (c coding) Decode(key string, stored []byte) ([]byte, error) {
	rest, ok := bytes.CutPrefix(stored, magic)
	if !ok || len(rest) < idSize+nonceSize+tagSize {
		return nil, errForeign
	}
	id, nonce, sealed := [idSize]byte(rest), rest[idSize:][:nonceSize], rest[idSize+nonceSize:]
	err := errKey
	for i := range c {
		if c[i].id != id {
			continue
		}
		var aead cipher.AEAD
		var value []byte
		if aead, err = c[i].derive(nonce); err == nil {
			value, err = aead.Open(nil, nonce[derivation:], sealed, []byte(key))
		}
		if err == nil {
			return value, nil
		}
	}
	return nil, err
}
