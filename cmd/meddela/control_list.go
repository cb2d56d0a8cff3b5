package main

import (
	"cmp"
	"context"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/meddela/meddela/topology"
)

func newControlListCommand(a *app) *cobra.Command {
	all := false
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the orders in force",
		Long:    "List the orders in force: what is stopped, by whom, since when, until when and why.",
		Example: "  meddela control list\n  meddela control list --all -o json",
		Args:    arguments(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.load(cmd); err != nil {
				return err
			}
			return a.listOrders(cmd.Context(), all)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "also the last order about what goes on again")
	return cmd
}

// listedOrder is one order in the list.
type listedOrder struct {
	topology.ControlRecord
	InForce bool `json:"in_force"`
}

func (a *app) listOrders(ctx context.Context, all bool) error {
	connection, err := a.kafka(ctx)
	if err != nil {
		return err
	}
	transport := connection.Transport()
	defer transport.CloseIdleConnections()
	follower, stop, err := followOrders(ctx, a, connection, transport)
	if err != nil {
		return err
	}
	defer stop()
	list, now := []listedOrder{}, time.Now()
	for _, order := range follower.Snapshot().All() {
		if inForce := order.InForce(now); all || inForce {
			list = append(list, listedOrder{order, inForce})
		}
	}
	return a.printOrders(list)
}

func (a *app) printOrders(list []listedOrder) error {
	if a.output == outputJSON {
		return a.printJSON(map[string]any{"orders": list})
	}
	if len(list) == 0 {
		return a.printf("nothing is paused or killed\n")
	}
	t := newTable("subject", "order", "by", "since", "until", "reason")
	for i := range list {
		order := &list[i]
		t.AppendRow([]any{
			order.Subject, a.paintOrder(order), cmp.Or(order.By, "-"),
			untilText(order.At), untilText(order.Until), cmp.Or(order.Reason, "-"),
		})
	}
	return a.printTable(t)
}

func (a *app) paintOrder(order *listedOrder) string {
	switch {
	case !order.InForce && order.Action != topology.Resume:
		return string(order.Action) + ", ended"
	case order.Action == topology.Kill:
		return a.paint(text.FgRed, string(order.Action))
	case order.Action == topology.Pause:
		return a.paint(text.FgYellow, string(order.Action))
	}
	return string(order.Action)
}
