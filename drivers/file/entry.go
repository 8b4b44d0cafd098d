package file

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"io/fs"
	"math"
	"os"
	"time"
)

// A file is a header, a key and a value. The header: magic (4 bytes), checksum of the rest
// of the header and of the key (4), time of expiry in nanoseconds since 1970 (8), length of
// the value (8), length of the key (4), checksum of the value (4). Integers are big-endian,
// checksums are CRC-32C.
const (
	magic      = 0xCA6EF101
	headerSize = 32
	summedFrom = 8
)

// forever is the time of expiry of an item that does not expire.
const forever = math.MaxInt64

// What an item has at most, in bytes. A header that claims more is damaged. A sparse file has
// any size and takes no space: its size alone must not decide how much memory is allocated.
const (
	maxKey   = 64 << 20
	maxValue = 512 << 20
)

var table = crc32.MakeTable(crc32.Castagnoli)

// errDamaged is the error of a file that this driver did not write, or not completely.
var errDamaged = errors.New("the file is damaged")

// A header is the content of a file without the value.
type header struct {
	key   string
	ends  int64
	value int64 // length
	sum   uint32
}

func (h header) live(now int64) bool { return now < h.ends }

// end returns when an item expires that is stored now with ttl.
func end(now int64, ttl time.Duration) int64 {
	if ttl == 0 || int64(ttl) >= forever-now {
		return forever
	}
	return now + int64(ttl)
}

// image returns the content of a file.
func image(key string, value []byte, ends int64) []byte {
	b := make([]byte, 0, headerSize+len(key)+len(value))
	b = binary.BigEndian.AppendUint32(b, magic)
	b = binary.BigEndian.AppendUint32(b, 0)
	b = binary.BigEndian.AppendUint64(b, uint64(ends))
	b = binary.BigEndian.AppendUint64(b, uint64(len(value)))
	b = binary.BigEndian.AppendUint32(b, uint32(len(key)))
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(value, table))
	b = append(b, key...)
	binary.BigEndian.PutUint32(b[4:], crc32.Checksum(b[summedFrom:], table))
	return append(b, value...)
}

// firstRead is how many bytes of a file are read first: all of it, if the file is small.
const firstRead = 4 << 10

// A reading is an open file whose header has been read.
type reading struct {
	*os.File
	header
	begin []byte // the beginning of the file: at least header and key
}

// read opens a file and reads its header. The error wraps [fs.ErrNotExist] if there is no
// such file, and is [errDamaged] if it is damaged or no ordinary file.
func read(x *directory, name string) (*reading, error) {
	f, err := x.file(name, false)
	if err != nil {
		return nil, err
	}
	r := &reading{File: f}
	if err := r.readHeader(); err != nil {
		f.Close()
		return nil, err
	}
	return r, nil
}

func (r *reading) readHeader() error {
	info, err := r.Stat()
	if err != nil {
		return err
	}
	size := info.Size()
	if size < headerSize {
		return errDamaged
	}
	b := make([]byte, min(size, firstRead))
	if _, err := r.ReadAt(b, 0); err != nil {
		return shorter(err)
	}
	n := int64(binary.BigEndian.Uint32(b[24:]))
	r.ends = int64(binary.BigEndian.Uint64(b[8:]))
	r.value = int64(binary.BigEndian.Uint64(b[16:]))
	r.sum = binary.BigEndian.Uint32(b[28:])
	// The size of the file and the limits bound the memory that is allocated for key and value.
	if binary.BigEndian.Uint32(b) != magic || n > maxKey || r.value < 0 || r.value > maxValue || r.value != size-headerSize-n {
		return errDamaged
	}
	if have := int64(len(b)); have < headerSize+n {
		b = append(b, make([]byte, headerSize+n-have)...)
		if _, err := r.ReadAt(b[have:], have); err != nil {
			return shorter(err)
		}
	}
	if crc32.Checksum(b[summedFrom:headerSize+n], table) != binary.BigEndian.Uint32(b[4:]) {
		return errDamaged
	}
	r.key, r.begin = string(b[headerSize:headerSize+n]), b
	return nil
}

// readValue reads the value.
func (r *reading) readValue() ([]byte, error) {
	value := make([]byte, r.value)
	have := copy(value, r.begin[headerSize+len(r.key):])
	if have < len(value) {
		if _, err := r.ReadAt(value[have:], int64(len(r.begin))); err != nil {
			return nil, shorter(err)
		}
	}
	if crc32.Checksum(value, table) != r.sum {
		return nil, errDamaged
	}
	return value, nil
}

// verify returns [errDamaged] if the value is damaged.
func (r *reading) verify() error {
	sum := crc32.New(table)
	if _, err := io.Copy(sum, io.NewSectionReader(r, headerSize+int64(len(r.key)), r.value)); err != nil {
		return err
	}
	if sum.Sum32() != r.sum {
		return errDamaged
	}
	return nil
}

// shorter returns errDamaged if err is that the file has ended too early.
func shorter(err error) error {
	if errors.Is(err, io.EOF) {
		return errDamaged
	}
	return err
}

// load returns the value of key in a file at a time; nil if there is no such file,
// or if it is damaged, expired or of another key.
func load(x *directory, name, key string, now int64) ([]byte, error) {
	value, _, err := loadUntil(x, name, key, now)
	return value, err
}

// loadUntil is load, and returns when the value expires, too.
func loadUntil(x *directory, name, key string, now int64) (value []byte, ends int64, err error) {
	r, err := read(x, name)
	if err != nil {
		return nil, 0, absent(err)
	}
	defer r.Close()
	if r.key != key || !r.live(now) {
		return nil, 0, nil
	}
	value, err = r.readValue()
	return value, r.ends, absent(err)
}

// absent returns nil for an error that means that a file is absent or damaged.
func absent(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errDamaged) {
		return nil
	}
	return err
}
