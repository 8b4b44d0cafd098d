package sqloutbox

import (
	"context"

	"github.com/cachegen/cachegen/drivers"
	"github.com/cachegen/cachegen/drivers/internal/within"
)

const columns = "id, store, payload, due, attempts, created"

// insert executes a statement that inserts, and creates the table if there is none. That needs no
// other connection where it can be done in the transaction of the caller: transactions may have all
// connections of the pool, and where there is one writer at a time, the caller is that.
func (o *Outbox) insert(ctx context.Context, exec drivers.Exec, statement string) error {
	create := o.base.MayCreate()
	if create && o.Inside != nil {
		for _, text := range o.Inside(o.options.Table) {
			if err := exec(ctx, text); err != nil {
				return o.base.NotCreated(err)
			}
		}
	}
	err := exec(ctx, statement)
	if err == nil || !create || o.Inside != nil || !o.Missing(err) {
		return err
	}
	wait, cancel := context.WithTimeout(ctx, o.options.BusyTimeout)
	defer cancel()
	if err := within.Do(wait, func() error { return o.base.Prepare(wait) }); err != nil {
		return err
	}
	return exec(ctx, statement)
}
