package repository

import "context"

// An Order is what somebody has ordered.
type Order struct {
	ID    int64
	Lines []string
}

// Base has what all repositories of orders have.
//
//cache:wrap CachedBase namespace=orders ttl=5m
type Base struct {
	loads  int
	orders map[int64]Order
}

// FindOrder returns an order, if there is one.
//
//cache:getorset order:{id} tag=orders
func (b *Base) FindOrder(ctx context.Context, id int64) (order Order, ok bool, err error) {
	b.loads++
	order, ok = b.orders[id]
	return order, ok, nil
}

// Change changes an order.
//
//cache:set FindOrder(order.ID)
func (b *Base) Change(ctx context.Context, order Order) (Order, error) {
	b.orders[order.ID] = order
	return order, nil
}

// A Shop has orders and a number of its own.
//
//cache:wrap CachedShop namespace=shop ttl=1m
type Shop struct {
	Base
	Number int16
}

// FindLines returns the lines of an order in this shop.
//
//cache:getorset lines:{recv.Number}:{id} tag=lines:{recv.Number}
func (s *Shop) FindLines(ctx context.Context, id int64) ([]string, error) {
	order, _, err := s.FindOrder(ctx, id)
	return order.Lines, err
}

// Cancel takes an order back.
//
//cache:delete Base.FindOrder(id) FindLines(id)
func (s *Shop) Cancel(ctx context.Context, id int64) error {
	delete(s.orders, id)
	return nil
}
