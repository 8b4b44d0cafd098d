package memory

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"
)

// A snapshot is its magic, a record for each item, those used last first, and a byte
// that is zero. A record is a byte that is one, when the item ends in nanoseconds since
// 1970 or zero (8 bytes, big-endian), the lengths of key and value (uvarints), both,
// and a CRC-32C of all before it in the record (4 bytes).
const snapshotMagic = "cachegen memory 1\n"

const (
	lastRecord = 0
	itemRecord = 1
)

var (
	// ErrSnapshot is wrapped by what [L2.Restore] returns for a snapshot that is
	// damaged, cut short or foreign.
	ErrSnapshot = errors.New("not a whole snapshot")

	errUsed = errors.New("the tier is in use")
	castag  = crc32.MakeTable(crc32.Castagnoli)
)

// Snapshot writes what the tier holds, for [L2.Restore] in the program's next run. It
// works after [L2.Close] too, and there it belongs: after the Close of the store, which
// waits for writes and invalidations that are under way. A snapshot from before lacks
// what is deleted later, and so would bring it back.
func (d *L2) Snapshot(w io.Writer) error {
	now := time.Now()
	d.mu.Lock()
	var items []*stored
	for element := d.recent.Front(); element != nil; element = element.Next() {
		if it := element.Value.(*stored); it.live(now) {
			items = append(items, it)
		}
	}
	d.mu.Unlock()

	out := bufio.NewWriter(w)
	out.WriteString(snapshotMagic) // what fails here fails at Flush
	var head []byte
	for _, it := range items {
		var ends int64
		if !it.ends.IsZero() {
			ends = it.ends.UnixNano()
		}
		head = binary.BigEndian.AppendUint64(append(head[:0], itemRecord), uint64(ends))
		head = binary.AppendUvarint(head, uint64(len(it.key)))
		head = binary.AppendUvarint(head, uint64(len(it.value)))
		head = append(head, it.key...)
		sum := crc32.Update(crc32.Checksum(head, castag), castag, it.value)
		out.Write(head)
		out.Write(it.value)
		out.Write(binary.BigEndian.AppendUint32(nil, sum))
	}
	out.WriteByte(lastRecord)
	if err := out.Flush(); err != nil {
		return fmt.Errorf("memory: snapshot: %w", err)
	}
	return nil
}

// Restore fills the tier with a snapshot and returns how many items that were. It has
// to come before the store is made: a tier that has been written to is refused, because
// what was deleted there could come back. What is past its TTL by now is left out, and
// so is what there is no room for, beginning with what was not used for longest. If the
// snapshot turns out to be damaged, what came before the damage is kept.
//
// Restore a snapshot once. Remove it then: after a run that ends without writing its
// own, it would bring back what that run deleted.
func (d *L2) Restore(r io.Reader) (restored int, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("memory: restore: %w", err)
		}
	}()
	in := bufio.NewReader(r)
	magic := make([]byte, len(snapshotMagic))
	if _, err := io.ReadFull(in, magic); err != nil || string(magic) != snapshotMagic {
		return 0, cut(err)
	}
	now := time.Now()
	for {
		it, err := readRecord(in)
		if err != nil || it == nil {
			return restored, err
		}
		switch kept, err := d.restore(it, now); {
		case err != nil:
			return restored, err
		case kept:
			restored++
		}
	}
}

// restore keeps an item that was used before all that are there.
func (d *L2) restore(it *stored, now time.Time) (kept bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.err != nil:
		return false, d.err
	case d.used || d.closed:
		return false, errUsed
	case !it.live(now), d.size+it.size() > d.budget, d.items[it.key] != nil:
		return false, nil
	}
	d.items[it.key] = d.recent.PushBack(it)
	d.size += it.size()
	return true, nil
}

// readRecord returns the next item, nil after the last.
func readRecord(in *bufio.Reader) (*stored, error) {
	kind, err := in.ReadByte()
	switch {
	case err == nil && kind == lastRecord:
		return nil, nil
	case err != nil || kind != itemRecord:
		return nil, cut(err)
	}
	sum := crc32.New(castag)
	sum.Write([]byte{kind})
	record := &summed{in, sum}
	var ends [8]byte
	if _, err := io.ReadFull(record, ends[:]); err != nil {
		return nil, cut(err)
	}
	var parts [2][]byte
	var sizes [2]uint64
	for i := range sizes {
		if sizes[i], err = binary.ReadUvarint(record); err != nil {
			return nil, cut(err)
		}
	}
	for i, size := range sizes {
		// Memory is taken as data comes, whatever a damaged length says.
		var part bytes.Buffer
		if _, err := io.CopyN(&part, record, int64(min(size, 1<<62))); err != nil {
			return nil, cut(err)
		}
		parts[i] = part.Bytes()
	}
	var end [4]byte
	if _, err := io.ReadFull(in, end[:]); err != nil || binary.BigEndian.Uint32(end[:]) != sum.Sum32() {
		return nil, cut(err)
	}
	it := &stored{key: string(parts[0]), value: append([]byte{}, parts[1]...)}
	if at := int64(binary.BigEndian.Uint64(ends[:])); at != 0 {
		it.ends = time.Unix(0, at)
	}
	return it, nil
}

// summed reads and adds what it reads to a checksum.
type summed struct {
	in  *bufio.Reader
	sum io.Writer
}

func (s *summed) Read(b []byte) (int, error) {
	n, err := s.in.Read(b)
	s.sum.Write(b[:n])
	return n, err
}

func (s *summed) ReadByte() (byte, error) {
	c, err := s.in.ReadByte()
	if err == nil {
		s.sum.Write([]byte{c})
	}
	return c, err
}

// cut says that a snapshot is not whole, and why if reading it failed.
func cut(err error) error {
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrSnapshot
	}
	return fmt.Errorf("%w: %w", ErrSnapshot, err)
}
