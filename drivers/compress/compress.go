// Package compress stands in front of any shared tier: it compresses large values with
// Zstandard before they are stored, and decompresses them when they are read.
//
//	stores, err := runtime.OpenStore("main", runtime.L2(compress.New(redis.New(client, redis.Options{}), compress.Options{})))
//
// The tier that [New] returns has the capabilities of the tier behind it (it is a
// [drivers.Wrapper]). Values are compressed and decompressed in each of them.
//
// Small values, and values that do not become smaller, are stored as they are. So compression
// can be added to a tier that is in use: the values that are already there can be read. If
// compression is removed again, compressed values cannot be read, and count as misses.
//
// # Concurrency
//
// The tier that [New] returns may be used by many goroutines at once. It has no state and no
// lock.
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
// Values below 1 KB save little for the time that they take, so [DefaultThreshold] is 1 KB. On
// a fast network compression saves memory of the tier rather than time.
//
// # Limits
//
// A value that cannot be decompressed, or would have more than Options.MaxSize, is absent:
// reads do not find it, and an add or a swap replaces it. A value is decompressed in memory as
// a whole. A swap that expects a value costs one more read.
//
// Whoever can write to the tier must not be able to fill the memory of a reader. So a stored
// value decompresses to no more than 64 times its own length, and 4 KB. What claims to be more
// is absent. A value that could be compressed further is stored with bytes added to it: a
// megabyte takes 16 KB at least.
//
// To encrypt as well, compress first, because encrypted values cannot be compressed:
// compress.New(seal.New(tier, …), …). Then the length of a stored value tells how well the
// value compresses. If an attacker sees lengths, and can put text of his own into a value that
// has a secret, do not compress: he could find the secret out.
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

// The defaults of the fields of [Options] with these names.
const (
	DefaultThreshold = 1 << 10
	DefaultMaxSize   = "128mb"
)

// Options are the options of [New]. The zero value is right for most programs.
type Options struct {
	// Threshold is how many bytes a value has to have to be compressed; [DefaultThreshold] if
	// zero.
	Threshold int
	// MaxSize is how large a value may be before it is compressed: an integer followed by b,
	// kb, mb, gb or tb; [DefaultMaxSize] if empty. A larger value is refused
	// ([drivers.ErrRefused]).
	MaxSize string
	// Unreadable, if not nil, is called with the key of each value that cannot be
	// decompressed, and with the reason. It must return soon, and may be called by many
	// goroutines at once.
	Unreadable func(key string, err error)
}

// New returns a tier that compresses values and stores them in tier. Its Close closes tier.
//
// If tier is nil or cannot be used, or an option is wrong, the result cannot be used either:
// every operation fails, its Err ([drivers.Checker]) returns the reason, and runtime.OpenStore
// and runtime.NewStore return it as their error and close tier.
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
