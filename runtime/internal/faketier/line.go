package faketier

import (
	"context"
	"sync"

	"github.com/cachegen/cachegen/drivers"
)

// A Line is the connection of one process to a [Bus], which can lose what arrives, and hold back
// what goes either way, as if the process or the network stood still. Nobody is told of either.
// The zero Line with a Bus is ready.
type Line struct {
	*Bus

	mu      sync.Mutex
	lose    func(message []byte) bool
	stopped chan struct{} // closed when the line goes on; nil unless it stands still
	backlog [][]byte      // what arrives then
	l       drivers.Listener
}

// Lose has f asked about each message that arrives whether it is lost; nil loses none.
func (n *Line) Lose(f func(message []byte) bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lose = f
}

// Stop holds back what is published from now on, and what arrives.
func (n *Line) Stop() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stopped = make(chan struct{})
}

// Continue delivers one message that was held back, and reports whether there was one. After the
// last one the line goes on.
func (n *Line) Continue() bool {
	n.mu.Lock()
	if len(n.backlog) == 0 {
		close(n.stopped)
		n.stopped = nil
		n.mu.Unlock()
		return false
	}
	message := n.backlog[0]
	n.backlog = n.backlog[1:]
	n.mu.Unlock()
	n.l.Message(message)
	return true
}

// Publish implements drivers.Bus.
func (n *Line) Publish(ctx context.Context, channel string, message []byte) error {
	n.mu.Lock()
	stopped := n.stopped
	n.mu.Unlock()
	if stopped != nil {
		select {
		case <-stopped:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return n.Bus.Publish(ctx, channel, message)
}

// Subscribe implements drivers.Bus.
func (n *Line) Subscribe(channel string, l drivers.Listener) (func(), error) {
	n.l = l
	loss, ok := drivers.LossListenerOf(l)
	if !ok {
		return n.Bus.Subscribe(channel, (*lineListener)(n))
	}
	return n.Bus.Subscribe(channel, lineLossListener{(*lineListener)(n), loss})
}

// A lineListener is what the bus of a line calls.
type lineListener Line

func (n *lineListener) Up()            { n.l.Up() }
func (n *lineListener) Down(err error) { n.l.Down(err) }

func (n *lineListener) Message(message []byte) {
	n.mu.Lock()
	if n.lose != nil && n.lose(message) {
		n.mu.Unlock()
		return
	}
	held := n.stopped != nil
	if held {
		n.backlog = append(n.backlog, message)
	}
	n.mu.Unlock()
	if !held {
		n.l.Message(message)
	}
}

// A lineLossListener is that of a listener that wants to know since when it hears nothing.
type lineLossListener struct {
	*lineListener
	drivers.LossListener
}

func (n lineLossListener) Up()                    { n.lineListener.Up() }
func (n lineLossListener) Down(err error)         { n.lineListener.Down(err) }
func (n lineLossListener) Message(message []byte) { n.lineListener.Message(message) }
