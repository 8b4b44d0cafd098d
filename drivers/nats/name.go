package nats

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

const (
	// maxName is the longest name in bytes that is not a hash. The server allows 4096
	// bytes for a whole command.
	maxName = 1024

	// emptyWord stands for an empty word, which a subject cannot have. Everywhere else two
	// hexadecimal digits follow "=".
	emptyWord = "="
	// hashedWord is the first word of a name with a hash. No other name begins with it.
	hashedWord = "=="
)

// name returns the name of key in the bucket. Different keys have different names, and the
// names of keys that begin with the same words begin with the same words.
func name(key string) string {
	if len(key) <= maxName {
		words := strings.Split(key, ":")
		for i, word := range words {
			words[i] = escapeWord(word)
		}
		if name := strings.Join(words, "."); len(name) <= maxName {
			return name
		}
	}
	sum := sha256.Sum256([]byte(key))
	return hashedWord + "." + base64.RawURLEncoding.EncodeToString(sum[:])
}

func hashed(name string) bool { return strings.HasPrefix(name, hashedWord+".") }

// keyOf returns the key of a name that is not a hash. It fails for names of other tools that
// no key has.
func keyOf(given string) (string, error) {
	words := strings.Split(given, ".")
	for i, word := range words {
		if word == emptyWord {
			words[i] = ""
			continue
		}
		var err error
		if words[i], err = unescape(word); err != nil {
			return "", err
		}
	}
	key := strings.Join(words, ":")
	if name(key) != given {
		return "", fmt.Errorf("%s %w", brief(given), errEscape)
	}
	return key, nil
}

// wordsOf returns the whole words with which the name of every key with prefix begins, each
// followed by a dot.
func wordsOf(prefix string) string {
	whole, _, found := cutLast(prefix, ":")
	if !found || len(whole) > maxName {
		return ""
	}
	if name := name(whole); !hashed(name) {
		return name + "."
	}
	return ""
}

func cutLast(text, sep string) (before, after string, found bool) {
	i := strings.LastIndex(text, sep)
	if i < 0 {
		return text, "", false
	}
	return text[:i], text[i+len(sep):], true
}

func escapeWord(word string) string {
	if word == "" {
		return emptyWord
	}
	return escape(word)
}

const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-/"

func escape(text string) string {
	var b strings.Builder
	for i := range len(text) {
		if c := text[i]; strings.IndexByte(plain, c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "=%02X", c)
		}
	}
	return b.String()
}

var errEscape = errors.New("is not a name that the driver writes")

func unescape(text string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '=' {
			b.WriteByte(text[i])
			continue
		}
		if i+2 >= len(text) {
			return "", fmt.Errorf("%s %w", brief(text), errEscape)
		}
		c, err := hex.DecodeString(text[i+1 : i+3])
		if err != nil {
			return "", fmt.Errorf("%s %w", brief(text), errEscape)
		}
		b.WriteByte(c[0])
		i += 2
	}
	return b.String(), nil
}

// brief returns key in quotes, shortened to 64 bytes.
func brief(key string) string {
	if len(key) > 64 {
		return fmt.Sprintf("%q…", key[:64])
	}
	return strconv.Quote(key)
}
