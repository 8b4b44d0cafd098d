// Package compress makes large values smaller on their way into a shared tier, any one,
// with Zstandard.
//
//	store, err := runtime.NewStore("main", runtime.L2(compress.New(redis.New(client, redis.Options{}), compress.Options{})))
//
// The result has the optional capabilities of the tier behind it, as the queries of
// package drivers find them, and no other methods of that tier.
//
// Small values, and those that do not become smaller, are stored as they are. So the
// wrapper can be put around a tier that is in use: it reads what is there. Taken off
// again, what is compressed is unreadable, which the runtime takes for a miss.
//
// # Figures
//
// What records as JSON take in the tier, and what time of a processor (the benchmark of
// this package measures both):
//
//	bytes      stored   compress   decompress
//	   512      60 %        8 µs         3 µs
//	  1024      47 %        8 µs         4 µs
//	  4096      33 %       21 µs         9 µs
//	 16384      27 %       74 µs        27 µs
//	 65536      25 %      260 µs        80 µs
//
// Below 1 KB the time of a value grows faster than what it saves, hence
// [DefaultThreshold]. On a fast network the gain is the tier's memory rather than time.
//
// # Limits
//
// A tier that swaps costs a read more for each swap that expects a value. What cannot be
// decompressed, or would have more than Options.MaxSize, is absent: reads do not find
// it, and an add or a swap replaces it. Values are decompressed as a whole in memory.
//
// To encrypt as well, compress first, since what is encrypted does not compress:
// compress.New(seal.New(tier, …), …). Then the length of what is stored says how well
// a value compresses; do without where an attacker who sees lengths can have values
// of his beside secrets in one entry.
package compress

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/klauspost/compress/zstd"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/internal/bytesize"
	"github.com/cachegen/cachegen/drivers/internal/wrap"
)

// Defaults of [Options].
const (
	DefaultThreshold = 1 << 10
	DefaultMaxSize   = "128mb"
)

// Options of [New]. The zero value is usable.
type Options struct {
	// Threshold is the length in bytes from which on values are compressed;
	// [DefaultThreshold] if zero.
	Threshold int
	// MaxSize bounds a value before it is compressed, and so the memory that a few
	// bytes from the tier can make a reader take: an integer followed by b, kb, mb, gb
	// or tb; [DefaultMaxSize] if empty. A larger value is refused.
	MaxSize string
	// Unreadable, if not nil, is called with each value that cannot be decompressed.
	// It must not block.
	Unreadable func(key string, err error)
}

// New returns tier with compression. The tier is closed with it. If options are
// unusable every use fails: the result is a [drivers.Checker], and runtime.NewStore
// refuses it.
func New(tier drivers.L2, options Options) drivers.L2 {
	c, err := options.coding()
	return wrap.New(tier, c, wrap.Options{Name: "compress", Err: err, Unreadable: options.Unreadable})
}

// minWindow is what the decoder needs to be allowed for values however small: a frame
// never asks for less than a kilobyte.
const minWindow = 64 << 10

// A coding compresses. Both halves may be used by many at once.
type coding struct {
	threshold int
	maxSize   int
	encoder   *zstd.Encoder
	decoder   *zstd.Decoder
}

func (o Options) coding() (*coding, error) {
	if o.Threshold < 0 {
		return nil, fmt.Errorf("option Threshold is %d, must not be negative", o.Threshold)
	}
	if o.Threshold == 0 {
		o.Threshold = DefaultThreshold
	}
	if o.MaxSize == "" {
		o.MaxSize = DefaultMaxSize
	}
	size, err := bytesize.Parse("MaxSize", o.MaxSize)
	if err != nil {
		return nil, err
	}
	c := &coding{threshold: o.Threshold, maxSize: int(size)}
	if c.encoder, err = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest)); err != nil {
		return nil, err
	}
	// No concurrency of its own: each caller decodes in its goroutine.
	c.decoder, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(max(size, minWindow)))
	return c, err
}

// What is not stored as it is begins with magic, the method, and the length of the value
// as a uvarint.
var magic = []byte("\xf5cgz")

const (
	plain      = 0 // a value that happens to begin with magic
	zstandard  = 1
	headerSize = 16 // at most
)

// Encode implements [wrap.Coding].
func (c *coding) Encode(_ string, value []byte) ([]byte, error) {
	if len(value) > c.maxSize {
		return nil, fmt.Errorf("a value of %d bytes, and MaxSize is %d: %w", len(value), c.maxSize, drivers.ErrRefused)
	}
	if len(value) >= c.threshold {
		b := header(make([]byte, 0, headerSize+len(value)/2), zstandard, value)
		b = c.encoder.EncodeAll(value, b)
		// Less is not worth decompressing it each time.
		if len(b) < len(value)-len(value)/16 {
			return b, nil
		}
	}
	if bytes.HasPrefix(value, magic) {
		return append(header(nil, plain, value), value...), nil
	}
	return value, nil
}

func header(b []byte, method byte, value []byte) []byte {
	b = append(append(b, magic...), method)
	return binary.AppendUvarint(b, uint64(len(value)))
}

var errDamaged = errors.New("damaged")

// Decode implements [wrap.Coding].
func (c *coding) Decode(_ string, stored []byte) ([]byte, error) {
	rest, ok := bytes.CutPrefix(stored, magic)
	if !ok {
		return stored, nil
	}
	if len(rest) == 0 {
		return nil, errDamaged
	}
	method, rest := rest[0], rest[1:]
	size, n := binary.Uvarint(rest)
	if n <= 0 {
		return nil, errDamaged
	}
	rest = rest[n:]
	if size > uint64(c.maxSize) {
		return nil, fmt.Errorf("a value of %d bytes, and MaxSize is %d", size, c.maxSize)
	}
	value := rest
	switch method {
	case plain:
	case zstandard:
		var err error
		if value, err = c.decoder.DecodeAll(rest, make([]byte, 0, size)); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("method %d is not known", method)
	}
	if uint64(len(value)) != size {
		return nil, errDamaged
	}
	return value, nil
}
