package stamp

import "sync"

const (
	// maxReaders is how many reads of stamps run at a time in the background.
	maxReaders = 4
	// readAtOnce is how many stamps are read in one round trip there.
	readAtOnce = 250
)

// Due are the cells whose stamps are to be read again in the background. It has a mutex of its
// own. The zero Due is ready.
type Due struct {
	mu      sync.Mutex
	cells   []*Cell // each once, see Cell.Refreshing
	readers int
}

// Add adds a cell. It reports whether the caller is to begin one more reader.
func (d *Due) Add(c *Cell) (begin bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cells = append(d.cells, c)
	if d.readers == maxReaders {
		return false
	}
	d.readers++
	return true
}

// Take takes as many cells as are read at a time. If there is none, the reader that asks has
// ended.
func (d *Due) Take() (cells []*Cell) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := min(readAtOnce, len(d.cells))
	if n == 0 {
		d.readers--
		d.cells = nil
		return nil
	}
	cells, d.cells = d.cells[:n:n], d.cells[n:]
	return cells
}
