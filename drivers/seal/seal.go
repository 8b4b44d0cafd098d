// Package seal stands in front of any shared tier: it encrypts and authenticates values with
// AES-256-GCM before they are stored, and decrypts them when they are read.
//
//	key, err := base64.StdEncoding.DecodeString(os.Getenv("CACHE_KEY")) // openssl rand -base64 32
//	tier := seal.New(redis.New(client, redis.Options{}), seal.Options{Keys: [][]byte{key}})
//	stores, err := runtime.OpenStore("main", runtime.L2(tier))
//
// The tier that [New] returns has the capabilities of the tier behind it (it is a
// [drivers.Wrapper]). Values are encrypted and decrypted in each of them.
//
// Each value is bound to its key: if somebody copies a value to another key of the tier, it
// cannot be decrypted there. Each value has a nonce of 192 random bits (XAES-256-GCM,
// c2sp.org/XAES-256-GCM), so that one secret key is safe for any number of writes.
//
// # Concurrency
//
// The tier that [New] returns may be used by many goroutines at once. It has no state and no
// lock.
//
// # To change the secret key
//
// The first of Options.Keys encrypts, and all of them decrypt: a stored value names its secret
// key. To change the secret key, give every process the new one as the second of Keys. When
// all have it, make it the first. Remove the old one when the values that it has encrypted are
// past their TTL.
//
// # Limits
//
// A value that cannot be decrypted is absent: reads do not find it, and an add or a swap
// replaces it. Such values are those of a secret key that is not in Keys, damaged ones, and
// those that were stored without encryption.
//
// So processes that share a tier need the same secret keys. If they have different ones, or
// only some of them encrypt, they replace each other's values all the time. When you begin to
// encrypt, give the store another runtime.Prefix.
//
// Whoever can read the tier sees keys, lengths and TTLs. Whoever can write to the tier can
// remove a value, or put back a value that the same key had before.
//
// A stored value is 48 bytes longer. A swap that expects a value costs one more read.
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

// Options are the options of [New]. Keys is required.
type Options struct {
	// Keys are the secret keys, of 32 random bytes each. The first one encrypts, all of them
	// decrypt. There must be one at least. A passphrase is not a secret key.
	Keys [][]byte
	// Unreadable, if not nil, is called with the key of each value that cannot be decrypted,
	// and with the reason. It must return soon, and may be called by many goroutines at once.
	Unreadable func(key string, err error)
}

// New returns a tier that encrypts values and stores them in tier. Its Close closes tier.
//
// If tier is nil or cannot be used, or an option is wrong, the result cannot be used either:
// every operation fails, its Err ([drivers.Checker]) returns the reason, and runtime.OpenStore
// and runtime.NewStore return it as their error and close tier.
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
