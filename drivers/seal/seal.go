// Package seal encrypts and authenticates values on their way into a shared tier, any
// one, with AES-256-GCM.
//
//	key, err := base64.StdEncoding.DecodeString(os.Getenv("CACHE_KEY")) // openssl rand -base64 32
//	tier := seal.New(redis.New(client, redis.Options{}), seal.Options{Keys: [][]byte{key}})
//	store, err := runtime.NewStore("main", runtime.L2(tier))
//
// The result has the optional capabilities of the tier behind it, as the queries of
// package drivers find them, and no other methods of that tier.
//
// Each value is bound to its key: moved to another key in the tier it cannot be read.
// Nonces have 192 random bits (XAES-256-GCM, c2sp.org/XAES-256-GCM), so a secret key
// does not wear out, however much a cache writes.
//
// # Rotation
//
// The first of Options.Keys encrypts, all of them decrypt, and each value says which it
// needs. Give every process the new key as the second one, then make it the first, and
// drop the old one when what it has encrypted is past its TTL.
//
// # Limits
//
// What cannot be decrypted is absent: a value of another key, a damaged one, or one
// stored without this wrapper. Reads do not find it, and an add or a swap replaces it.
// Processes that share a tier and disagree in whether to encrypt, or with which keys,
// replace each other's values all the time: give the store another runtime.Prefix when
// you begin to encrypt.
//
// Who can read the tier still sees keys, lengths and TTLs. Who can write to it can
// remove a value, or put back one that the same key had before.
//
// A tier that swaps costs a read more for each swap that expects a value. A value takes
// 48 bytes more.
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
	// Keys are secret keys of 32 random bytes: the first encrypts, all decrypt. A
	// passphrase is none.
	Keys [][]byte
	// Unreadable, if not nil, is called with each value that cannot be decrypted. It
	// must not block.
	Unreadable func(key string, err error)
}

// New returns tier with encryption. The tier is closed with it. If options are unusable
// every use fails: the result is a [drivers.Checker], and runtime.NewStore refuses it.
func New(tier drivers.L2, options Options) drivers.L2 {
	c, err := newCoding(options.Keys)
	return wrap.New(tier, c, wrap.Options{Name: "seal", Err: err, Unreadable: options.Unreadable})
}

// What is stored begins with magic, the secret key's id and the nonce; then what GCM
// makes of the value, with the key as additional data.
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
	errForeign = errors.New("not encrypted by this package")
	errKey     = errors.New("encrypted with a secret key that is not among Keys, or damaged")
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
