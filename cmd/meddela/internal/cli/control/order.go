package control

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/consumer/control"
	"github.com/meddela/meddela/topology"
)

type orderView struct {
	DryRun bool               `json:"dry_run"`
	Orders []orderedView      `json:"orders"`
	Idle   []topology.Subject `json:"idle"` // to be resumed, but nothing stops them
	// Unknown are stopped all the same: no template has the name, or no live one is for events of the type.
	Unknown []topology.Subject `json:"unknown"`
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

func (o *ordering) run(ctx context.Context, _ []string) error {
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	follower, err := o.env.Orders(ctx)
	if err != nil {
		return err
	}
	view := o.plan(follower.Snapshot())
	if !o.dryRun && len(view.Orders) > 0 {
		if err := o.give(ctx, follower, view); err != nil {
			return err
		}
	}
	o.findUnknown(ctx, view)
	return o.env.Print(view, "%s", o.text(view))
}

func (o *ordering) findUnknown(ctx context.Context, view *orderView) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second) // the order is given: who gave it is to hear so
	defer cancel()
	var live *catalogue.Catalogue
	for i := range view.Orders {
		order := &view.Orders[i]
		kind, name := order.Subject.Split()
		if order.Action == topology.Resume || kind != topology.SubjectTemplate && kind != topology.SubjectType {
			continue
		}
		if live == nil {
			follower, err := o.env.Templates(ctx)
			if err != nil {
				o.env.Log.Warn().Err(err).Msg("it is not known whether there are such templates")
				return
			}
			live = follower.Snapshot()
		}
		if _, named := live.Latest(name); kind == topology.SubjectTemplate && !named ||
			kind == topology.SubjectType && !live.HasType(name) {
			view.Unknown = append(view.Unknown, order.Subject)
		}
	}
}

// plan says what is to be written: a resume only about what is stopped.
func (o *ordering) plan(now *control.Orders) *orderView {
	none := []topology.Subject{}
	view := &orderView{DryRun: o.dryRun, Orders: []orderedView{}, Idle: none, Unknown: none}
	for _, order := range o.orders {
		if last, ok := now.Last(order.Subject); ok && last.InForce(order.At) {
			view.Orders = append(view.Orders, orderedView{order, &last})
		} else if order.Action == topology.Resume {
			view.Idle = append(view.Idle, order.Subject)
		} else {
			view.Orders = append(view.Orders, orderedView{order, nil})
		}
	}
	return view
}

// give writes the orders, and reads them back as every role does.
func (o *ordering) give(ctx context.Context, follower *control.Follower, view *orderView) error {
	writer, err := o.env.Publisher(ctx)
	if err != nil {
		return err
	}
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

func (o *ordering) text(view *orderView) string {
	var b strings.Builder
	for i := range view.Orders {
		fmt.Fprintln(&b, o.line(&view.Orders[i]))
	}
	for _, subject := range view.Idle {
		fmt.Fprintf(&b, "%s is neither paused nor killed\n", subject)
	}
	if !view.DryRun && len(view.Orders) > 0 {
		fmt.Fprintf(&b, "seen in force %d ms after Kafka had it (which took %d ms)\n", view.ReadBackMillis,
			view.WrittenMillis)
	}
	for _, subject := range view.Unknown {
		says := "there is no template of that name"
		if kind, _ := subject.Split(); kind == topology.SubjectType {
			says = "no live template is for events of that type"
		}
		fmt.Fprintf(&b, "%s: %s: see meddela templates list\n", subject, says)
	}
	return b.String()
}

// doneWith is what actions do to their subject.
var doneWith = map[topology.ControlAction]string{
	topology.Pause: "paused", topology.Kill: "killed", topology.Resume: "resumed",
}

func (o *ordering) line(order *orderedView) string {
	text := string(order.Subject) + " " + command.Done(o.dryRun, "is ", doneWith[order.Action])
	if !order.Until.IsZero() {
		text += " until " + wording.Moment(order.Until)
	}
	if b := order.Before; b != nil {
		text += "; it was " + doneWith[b.Action] + " since " + wording.Moment(b.At)
		if b.By != "" {
			text += " by " + b.By
		}
	}
	return text
}
