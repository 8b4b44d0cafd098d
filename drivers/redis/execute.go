package redis

import (
	"context"
	"errors"
	"fmt"

	goredis "github.com/redis/go-redis/v9"

	"github.com/cachegen/cachegen/drivers/internal/within"
)

// maxQueued bounds the reads that wait in the automatic pipeline, so that they do not
// exhaust memory when the server does not answer. A read beyond the bound fails at once.
const maxQueued = 1 << 16

// execute sends commands in one pipeline. The error reply of a command is in that command.
// After execute has failed the commands must not be used: the client may still write to
// them.
func (d *Driver) execute(ctx context.Context, cmds []goredis.Cmder) error {
	// go-redis does not watch the context while it waits for a reply. An abandoned
	// pipeline ends with the client's timeouts; the ended context stops its retries.
	err := within.Do(ctx, func() error {
		if len(cmds) == 1 {
			return transport(d.client.Process(ctx, cmds[0]))
		}
		pipe := d.client.Pipeline()
		for _, cmd := range cmds {
			_ = pipe.Process(ctx, cmd) // only queues
		}
		_, err := pipe.Exec(ctx)
		return transport(err)
	})
	if err != nil {
		lookForMasters(ctx, d.client)
	}
	return err
}

// lookForMasters lets the client of a Cluster ask, in the background, which masters there are. By
// itself it asks when a server names another one, or after a minute: for so long it would send
// commands to a master that has died, and not to the one that has taken its place.
func lookForMasters(ctx context.Context, client goredis.UniversalClient) {
	if c, ok := client.(interface{ ReloadState(context.Context) }); ok {
		c.ReloadState(ctx)
	}
}

// executeShared is execute through the automatic pipeline, for commands that can be sent
// again after a broken connection.
func (d *Driver) executeShared(ctx context.Context, cmds []goredis.Cmder) error {
	pipeline, err := d.autoPipeline()
	if err != nil {
		return err
	}
	futures := make([]goredis.AutoFuture, len(cmds))
	for i, cmd := range cmds {
		futures[i] = pipeline.Submit(ctx, cmd)
	}
	for _, f := range futures {
		if err := transport(f.WaitContext(ctx)); err != nil {
			lookForMasters(ctx, d.client)
			return err
		}
	}
	return nil
}

// autoPipeline returns the client's pipeline. Other users of the client share it and may
// close it; the client then makes another.
func (d *Driver) autoPipeline() (*goredis.AutoPipeliner, error) {
	d.pipelineMu.Lock()
	defer d.pipelineMu.Unlock()
	if d.pipeline != nil && !d.pipeline.IsClosed() {
		return d.pipeline, nil
	}
	var configured *goredis.AutoPipelineOptions
	switch c := d.client.(type) {
	case *goredis.Client:
		configured = c.Options().AutoPipelineOptions
	case *goredis.ClusterClient:
		configured = c.Options().AutoPipelineOptions
	}
	if configured == nil {
		configured = goredis.DefaultAutoPipelineOptions()
		configured.MaxQueuedCommands = maxQueued
	}
	pipeline, err := d.client.AsyncAutoPipelineWithOptions(configured)
	if err != nil {
		return nil, fmt.Errorf("automatic pipeline: %w", err)
	}
	d.pipeline = pipeline
	return pipeline, nil
}

// transport returns err unless it is an error reply of the server. After an error reply the
// other replies of the pipeline are valid, and each caller handles the reply of its command.
func transport(err error) error {
	var reply goredis.Error
	if errors.As(err, &reply) {
		return nil
	}
	return err
}
