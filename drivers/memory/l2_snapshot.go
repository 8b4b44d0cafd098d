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

// A snapshot is snapshotMagic, a record for each item, the most recently used first, and a
// zero byte. A record is a byte of value one, the time when the item expires in nanoseconds
// since 1970, or zero (8 bytes, big-endian), the lengths of key and value (uvarints), key
// and value, and a CRC-32C of the record so far (4 bytes).
const snapshotMagic = "cachegen memory 1\n"

const (
	lastRecord = 0
	itemRecord = 1
)

var (
	// ErrSnapshot is wrapped by the error of [L2.Restore] if a snapshot is damaged, is not
	// complete, or has another format.
	ErrSnapshot = errors.New("cachegen: the snapshot is damaged, incomplete or of another format")

	errUsed    = errors.New("the tier has been used or closed; restore before the store is made")
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// Snapshot writes the items of the tier to w. In its next run the program reads them with
// [L2.Restore].
//
// Call Snapshot after the Close of the store, which waits for the writes and invalidations
// that are running: a snapshot that was made before a delete would bring the deleted item
// back. Snapshot works after [L2.Close], which the store calls, too.
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
	out.WriteString(snapshotMagic) // Flush returns the error of any write
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
		sum := crc32.Update(crc32.Checksum(head, castagnoli), castagnoli, it.value)
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

// Restore reads a snapshot into the tier, and returns how many items it has restored. Call
// Restore before the store is made: it fails on a tier that has been written to, because it
// could bring deleted items back.
//
// Items that have expired are left out, and so are those that were not used for longest, if
// the budget is too small for all. If the snapshot is damaged, the items before the damage are
// restored, and the error wraps [ErrSnapshot].
//
// Restore a snapshot once, and then remove it. If the next run ends without a snapshot, the
// old one would bring back what that run has deleted.
func (d *L2) Restore(r io.Reader) (restored int, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("memory: restore: %w", err)
		}
	}()
	in := bufio.NewReader(r)
	magic := make([]byte, len(snapshotMagic))
	if _, err := io.ReadFull(in, magic); err != nil || string(magic) != snapshotMagic {
		return 0, damaged(err)
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

// restore adds an item that was used less recently than all items of the tier.
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

// readRecord returns the next item, nil after the last one.
func readRecord(in *bufio.Reader) (*stored, error) {
	kind, err := in.ReadByte()
	switch {
	case err == nil && kind == lastRecord:
		return nil, nil
	case err != nil || kind != itemRecord:
		return nil, damaged(err)
	}
	sum := crc32.New(castagnoli)
	sum.Write([]byte{kind})
	record := &summed{in, sum}
	var ends [8]byte
	if _, err := io.ReadFull(record, ends[:]); err != nil {
		return nil, damaged(err)
	}
	var parts [2][]byte
	var sizes [2]uint64
	for i := range sizes {
		if sizes[i], err = binary.ReadUvarint(record); err != nil {
			return nil, damaged(err)
		}
	}
	for i, size := range sizes {
		// The buffer grows with the data, so a damaged length does not exhaust memory.
		var part bytes.Buffer
		if _, err := io.CopyN(&part, record, int64(min(size, 1<<62))); err != nil {
			return nil, damaged(err)
		}
		parts[i] = part.Bytes()
	}
	var end [4]byte
	if _, err := io.ReadFull(in, end[:]); err != nil || binary.BigEndian.Uint32(end[:]) != sum.Sum32() {
		return nil, damaged(err)
	}
	it := &stored{key: string(parts[0]), value: append([]byte{}, parts[1]...)}
	if at := int64(binary.BigEndian.Uint64(ends[:])); at != 0 {
		it.ends = time.Unix(0, at)
	}
	return it, nil
}

// summed is a reader that adds what it reads to a checksum.
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

// damaged returns [ErrSnapshot], with err if reading failed for another reason than the
// end of the snapshot.
func damaged(err error) error {
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrSnapshot
	}
	return fmt.Errorf("%w: %w", ErrSnapshot, err)
}
