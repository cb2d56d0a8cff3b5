package control

import (
	"context"
	"fmt"
	"time"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/consumer/control"
	"github.com/meddela/meddela/producer"
	"github.com/meddela/meddela/topology"
)

// orderView is what is printed of orders.
type orderView struct {
	DryRun bool               `json:"dry_run"`
	Orders []orderedView      `json:"orders"`
	Idle   []topology.Subject `json:"idle"` // to be resumed, but nothing stops them
	// How long Kafka took, and from then on until the order was seen to be in
	// force.
	WrittenMillis  int64 `json:"written_ms"`
	ReadBackMillis int64 `json:"read_back_ms"`
}

// orderedView is an order, and the one that was in force before.
type orderedView struct {
	topology.ControlRecord
	Before *topology.ControlRecord `json:"before,omitempty"`
}

func (o *ordering) run(ctx context.Context, orders []topology.ControlRecord) error {
	connection, err := o.env.Kafka(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	follower, stop, err := o.env.FollowOrders(ctx, connection)
	if err != nil {
		return err
	}
	defer stop()
	view := o.plan(follower.Snapshot(), orders)
	if !o.dryRun && len(view.Orders) > 0 {
		if err := o.give(ctx, connection, follower, view); err != nil {
			return err
		}
	}
	return o.print(view)
}

// plan says what is to be written: a resume only about what is stopped.
func (o *ordering) plan(now *control.Orders, orders []topology.ControlRecord) *orderView {
	view := &orderView{DryRun: o.dryRun, Orders: []orderedView{}, Idle: []topology.Subject{}}
	for _, order := range orders {
		last, ok := now.Last(order.Subject)
		switch stopped := ok && last.InForce(order.At); {
		case stopped:
			view.Orders = append(view.Orders, orderedView{order, &last})
		case order.Action == topology.Resume:
			view.Idle = append(view.Idle, order.Subject)
		default:
			view.Orders = append(view.Orders, orderedView{order, nil})
		}
	}
	return view
}

// give writes the orders, and reads them back as every role does.
func (o *ordering) give(ctx context.Context, connection producer.Connection, follower *control.Follower,
	view *orderView) error {
	transport := connection.Transport()
	defer transport.CloseIdleConnections()
	writer := &producer.Publisher{Addr: connection.Addr(), Transport: transport, Log: o.env.Log}
	records := make([]topology.Record, len(view.Orders))
	for i := range view.Orders {
		order := &view.Orders[i].ControlRecord
		records[i] = topology.Record{
			Topic: o.env.Config.Names().Control(), Key: []byte(order.Subject), Value: order.Append(nil),
		}
	}
	started := time.Now()
	refused, err := writer.Publish(ctx, 0, records)
	if err == nil && len(refused) > 0 {
		err = fmt.Errorf("the topic does not take %s", wording.Count(len(refused), "order", "orders"))
	}
	if err != nil {
		return fmt.Errorf("perhaps not all is ordered: %w: see meddela control list, and order it again", err)
	}
	acknowledged := time.Now()
	if err := follower.CatchUp(ctx); err != nil {
		return fmt.Errorf("%s given, but it was not seen to be in force: %w",
			wording.Count(len(records), "order is", "orders are"), err)
	}
	view.WrittenMillis = acknowledged.Sub(started).Milliseconds()
	view.ReadBackMillis = time.Since(acknowledged).Milliseconds()
	return nil
}

func (o *ordering) print(view *orderView) error {
	if o.env.Output == command.JSON {
		return o.env.PrintJSON(view)
	}
	for i := range view.Orders {
		if err := o.env.Printf("%s\n", o.line(&view.Orders[i])); err != nil {
			return err
		}
	}
	for _, subject := range view.Idle {
		if err := o.env.Printf("%s is neither paused nor killed\n", subject); err != nil {
			return err
		}
	}
	if view.DryRun || len(view.Orders) == 0 {
		return nil
	}
	return o.env.Printf("seen in force %d ms after Kafka had it (which took %d ms)\n", view.ReadBackMillis,
		view.WrittenMillis)
}

// doneWith is what actions do to their subject.
var doneWith = map[topology.ControlAction]string{
	topology.Pause: "paused", topology.Kill: "killed", topology.Resume: "resumed",
}

// line tells of one order.
func (o *ordering) line(order *orderedView) string {
	text := string(order.Subject) + " is "
	if o.dryRun {
		text = string(order.Subject) + " would be "
	}
	text += doneWith[order.Action]
	if !order.Until.IsZero() {
		text += " until " + command.UntilText(order.Until)
	}
	if b := order.Before; b != nil {
		text += "; it was " + doneWith[b.Action] + " since " + command.UntilText(b.At)
		if b.By != "" {
			text += " by " + b.By
		}
	}
	return text
}
