package control

import (
	"cmp"
	"context"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/topology"
)

func newControlListCommand(env *command.Env) *cobra.Command {
	all := false
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the orders in force",
		Long: "List the orders in force: what is stopped, by whom, since when, until when and why.\n" +
			"Providers that fail are told too, with their last answers.",
		Example: "  meddela control list\n  meddela control list --all -o json",
		RunE:    env.Loaded(func(ctx context.Context, _ []string) error { return listOrders(ctx, env, all) }),
	}
	cmd.Flags().BoolVar(&all, "all", false, "also the last order about what goes on again")
	return cmd
}

type listedOrder struct {
	topology.ControlRecord
	InForce bool `json:"in_force"`
}

func listOrders(ctx context.Context, env *command.Env, all bool) error {
	follower, err := env.Orders(ctx)
	if err != nil {
		return err
	}
	troubles, told := env.Troubles(ctx, topology.Lanes()...)
	list, now := []listedOrder{}, time.Now()
	for _, order := range follower.Snapshot().All() {
		if inForce := order.InForce(now); all || inForce {
			list = append(list, listedOrder{order, inForce})
		}
	}
	if told != "" && env.Output != command.JSON {
		if err := env.Printf("%s\n\n", told); err != nil {
			return err
		}
	}
	t := command.NewTable("subject", "order", "by", "since", "until", "reason")
	for i := range list {
		order := &list[i]
		t.AppendRow([]any{order.Subject, paintOrder(env, order), cmp.Or(order.By, "-"), wording.Moment(order.At),
			wording.Moment(order.Until), cmp.Or(order.Reason, "-")})
	}
	return env.PrintList(map[string]any{"orders": list, "troubles": append([]topology.Trouble{}, troubles...)}, t, "",
		"nothing is paused or killed")
}

func paintOrder(env *command.Env, order *listedOrder) any {
	switch {
	case !order.InForce && order.Action != topology.Resume:
		return string(order.Action) + ", ended"
	case order.Action == topology.Kill:
		return command.Painted(env.Paint(text.FgRed, string(order.Action)))
	case order.Action == topology.Pause:
		return command.Painted(env.Paint(text.FgYellow, string(order.Action)))
	}
	return string(order.Action)
}
