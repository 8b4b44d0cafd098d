// Package compress compresses large values with Zstandard on their way into any shared
// tier, and decompresses them when they are read.
//
//	store, err := runtime.NewStore("main", runtime.L2(compress.New(redis.New(client, redis.Options{}), compress.Options{})))
//
// The result of [New] has the capabilities of the tier behind it ([drivers.Wrapper]), and
// compresses and decompresses in each of them.
//
// Small values, and values that do not become smaller, are stored unchanged. So compression
// can be added to a tier that is in use: values that are already there stay readable. When
// compression is removed again, compressed values are unreadable; the runtime counts them
// as misses.
//
// # Concurrency
//
// The result of [New] keeps no state and has no lock. Encoder and decoder may be used by
// many goroutines at once.
//
// # Figures
//
// The stored size of records in JSON, and the processor time for one value, as the
// benchmark of this package measures them:
//
//	bytes      stored   compress   decompress
//	   512      60 %        8 µs         3 µs
//	  1024      47 %        8 µs         4 µs
//	  4096      33 %       21 µs         9 µs
//	 16384      27 %       74 µs        27 µs
//	 65536      25 %      260 µs        80 µs
//
// Values below 1 KB save little for their time, hence [DefaultThreshold]. On a fast network
// compression saves memory of the tier rather than time.
//
// # Limits
//
// A swap that expects a value costs one more read. A value that cannot be decompressed, or
// is larger than Options.MaxSize when decompressed, is absent: reads do not find it, and
// an add or a swap replaces it. A value is decompressed in memory as a whole.
//
// Who can write to the tier cannot make a reader allocate much more than he has written: a
// stored value decompresses to at most 64 times its own length and 4 KB, and what claims
// more is absent. So a batch takes at most 64 times the bytes that were read, and 4 KB for
// each value. A value that would compress better than that is stored with a padding: a
// megabyte takes 16 KB at least.
//
// To encrypt as well, compress first, because encrypted values do not compress:
// compress.New(seal.New(tier, …), …). The stored length then shows how well a value
// compresses. Do not compress where an attacker who sees lengths can put text of his own
// into the same value as a secret.
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
	// MaxSize bounds a value before compression: an integer followed by b, kb, mb, gb or
	// tb; [DefaultMaxSize] if empty. A larger value is refused.
	MaxSize string
	// Unreadable, if not nil, is called with each value that cannot be decompressed.
	// It must not block.
	Unreadable func(key string, err error)
}

// New returns an L2 that stores compressed values in tier. Closing it closes tier. If
// options are unusable every operation fails: the [drivers.Checker] of the result returns
// the reason, and runtime.NewStore refuses it.
func New(tier drivers.L2, options Options) drivers.L2 {
	c, err := options.coding()
	return wrap.New(tier, c, wrap.Options{Name: "compress", Err: err, Unreadable: options.Unreadable})
}

// minWindow is the memory limit that the decoder needs even for small values: a frame
// never asks for less than a kilobyte.
const minWindow = 64 << 10

// A coding is the [wrap.Coding] that compresses. Its encoder and decoder may be used by
// many goroutines at once.
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
	// Concurrency 0: each caller decodes in its own goroutine.
	// It decodes into the room that it is given, and fails if that does not suffice.
	c.decoder, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(max(size, minWindow)),
		zstd.WithDecodeAllCapLimit(true))
	return c, err
}

// What a stored value may decompress to: maxRatio times its length, and smallValue.
const (
	maxRatio   = 64
	smallValue = 4 << 10
)

// mayHold returns the most that so many stored bytes decompress to.
func mayHold(stored int) uint64 { return smallValue + maxRatio*uint64(stored) }

// pad appends to a frame what readers skip, so that it may hold size bytes.
func pad(frame []byte, size int) []byte {
	const skippable, head = 0x184D2A50, 8
	missing := (size-smallValue+maxRatio-1)/maxRatio - len(frame)
	if missing <= 0 {
		return frame
	}
	missing = max(missing-head, 0)
	frame = binary.LittleEndian.AppendUint32(frame, skippable)
	frame = binary.LittleEndian.AppendUint32(frame, uint32(missing))
	return append(frame, make([]byte, missing)...)
}

// A value that is not stored unchanged is stored as magic, the method, the length of the
// value as a uvarint, and the value, compressed or not.
var magic = []byte("\xf5cgz")

const (
	plain      = 0 // not compressed: a value that itself begins with magic
	zstandard  = 1
	headerSize = 16 // upper bound
)

// Encode implements [wrap.Coding].
func (c *coding) Encode(_ string, value []byte) ([]byte, error) {
	if len(value) > c.maxSize {
		return nil, fmt.Errorf("%w: the value has %d bytes, and MaxSize is %d", drivers.ErrRefused, len(value), c.maxSize)
	}
	if len(value) >= c.threshold {
		b := header(make([]byte, 0, headerSize+len(value)/2), zstandard, value)
		n := len(b)
		b = c.encoder.EncodeAll(value, b)
		b = append(b[:n], pad(b[n:], len(value))...)
		// A smaller saving is not worth the decompression of each read.
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

var errDamaged = errors.New("the stored value is damaged")

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
		return nil, fmt.Errorf("the value has %d bytes when decompressed, and MaxSize is %d", size, c.maxSize)
	}
	value := rest
	switch method {
	case plain:
	case zstandard:
		if size > mayHold(len(rest)) {
			return nil, fmt.Errorf("%d stored bytes claim to be a value of %d bytes: %w", len(rest), size, errDamaged)
		}
		var err error
		if value, err = c.decoder.DecodeAll(rest, make([]byte, 0, size)); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("the stored value has the unknown compression method %d", method)
	}
	if uint64(len(value)) != size {
		return nil, errDamaged
	}
	return value, nil
}
