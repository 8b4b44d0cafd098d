package nats

import (
	"context"
	"errors"
	"fmt"

	gonats "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// bind returns the stream of the bucket. It opens the bucket first if it is not open.
func (d *Driver) bind(ctx context.Context) (jetstream.Stream, error) {
	if err := connected(d.conn); err != nil {
		return nil, err
	}
	if stream := d.bound(); stream != nil {
		return stream, nil
	}
	select {
	case d.binding <- struct{}{}:
		defer func() { <-d.binding }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if stream := d.bound(); stream != nil {
		return stream, nil
	}
	stream, err := d.open(ctx)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stream = stream
	return stream, nil
}

// connected returns why nothing can be sent, or nil. It adds the last error of the
// connection, such as a refused user, if there is one: nats.go forgets it when it connects
// again.
func connected(conn *gonats.Conn) error {
	if conn.IsConnected() {
		return nil
	}
	err := gonats.ErrDisconnected
	if conn.IsClosed() {
		err = gonats.ErrConnectionClosed
	}
	if last := conn.LastError(); last != nil {
		return fmt.Errorf("%w: %w", err, last)
	}
	return err
}

func (d *Driver) bound() jetstream.Stream {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stream
}

func (d *Driver) unbind() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stream = nil
}

// open returns the stream of the bucket. It creates an absent bucket unless SkipCreate is set.
func (d *Driver) open(ctx context.Context) (jetstream.Stream, error) {
	name := "KV_" + d.options.Bucket
	stream, err := d.js.Stream(ctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) && !d.options.SkipCreate {
		stream, err = d.js.CreateStream(ctx, d.config(name))
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another process was first
			stream, err = d.js.Stream(ctx, name)
		}
	}
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return nil, fmt.Errorf("there is no such bucket, and SkipCreate is set: %w", err)
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount), errors.Is(err, gonats.ErrNoResponders):
		return nil, fmt.Errorf("JetStream is not enabled on the server or for the account: %w", err)
	case err != nil:
		return nil, fmt.Errorf("open the bucket: %w", err)
	}
	if err := usable(stream.CachedInfo().Config); err != nil {
		return nil, err
	}
	return stream, nil
}

// usable returns why a stream cannot be used as a bucket, or nil.
func usable(config jetstream.StreamConfig) error {
	switch {
	case config.MaxMsgsPerSubject < 1 || config.Mirror != nil:
		return fmt.Errorf("stream %s is a mirror, or is not the stream of a key-value bucket", config.Name)
	case config.AllowDirect && config.Replicas > 1:
		return fmt.Errorf("the bucket serves reads from any of its %d replicas, which may miss a finished write: turn off allow_direct of stream %s",
			config.Replicas, config.Name)
	}
	return nil
}

// config returns the configuration of a bucket's stream.
func (d *Driver) config(name string) jetstream.StreamConfig {
	storage := jetstream.FileStorage
	if d.options.Memory {
		storage = jetstream.MemoryStorage
	}
	maxBytes := d.options.MaxBytes
	if maxBytes == 0 {
		maxBytes = -1
	}
	return jetstream.StreamConfig{
		Name:              name,
		Subjects:          []string{d.subject + ">"},
		Storage:           storage,
		Replicas:          d.options.Replicas,
		MaxMsgsPerSubject: 1,
		MaxBytes:          maxBytes,
		Discard:           jetstream.DiscardNew,
		AllowRollup:       true,
		DenyDelete:        true,
		AllowDirect:       d.options.Replicas == 1,
	}
}
