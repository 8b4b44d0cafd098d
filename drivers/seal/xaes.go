package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
)

// xaes is XAES-256-GCM: the first half of a long nonce derives a key, and AES-256-GCM uses
// that key with the second half as its nonce.
type xaes struct {
	block cipher.Block
	mask  [aes.BlockSize]byte // K1 of CMAC
}

// derivation is the length of the first half of the nonce.
const derivation = 12

func newXAES(key []byte) (xaes, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return xaes{}, err
	}
	x := xaes{block: block}
	x.block.Encrypt(x.mask[:], x.mask[:])
	var carry byte
	for i := len(x.mask) - 1; i >= 0; i-- {
		x.mask[i], carry = x.mask[i]<<1|carry, x.mask[i]>>7
	}
	x.mask[len(x.mask)-1] ^= carry * 0x87
	return x, nil
}

// derive returns the cipher for messages whose nonce has the same first half as nonce.
func (x xaes) derive(nonce []byte) (cipher.AEAD, error) {
	var key [2 * aes.BlockSize]byte
	for i := range 2 {
		half := key[i*aes.BlockSize:][:aes.BlockSize]
		copy(half, []byte{0, byte(i + 1), 'X', 0})
		copy(half[4:], nonce[:derivation])
		subtle.XORBytes(half, half, x.mask[:])
		x.block.Encrypt(half, half)
	}
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
