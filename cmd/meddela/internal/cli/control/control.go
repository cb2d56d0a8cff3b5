// Package control has the commands by which operators stop messages, and let them
// go on.
package control

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/topology"
)

// New makes the command control.
func New(env *command.Env) *cobra.Command {
	cmd := command.Parent(&cobra.Command{
		Use:     "control",
		GroupID: command.GroupOperate,
		Short:   "Stop a template, type, channel, provider or lane, and let it go on",
		Long: `Stop a template, type, channel, provider or lane, and let it go on.

A subject is one of

  template:NAME   all versions of a template
  type:NAME       events of a type
  channel:NAME    email, sms, push or webhook
  provider:NAME   as the delivery log names it
  lane:NAME       realtime or batch

Of several orders about a message, any kill outweighs every pause.`,
	})
	cmd.AddCommand(
		newOrderCommand(env, topology.Pause, "Let messages wait, until resumed",
			`Let messages wait, until resumed, or until a time.

What is being handed to a provider at the moment is still sent. What waits
expires as it would otherwise.`),
		newOrderCommand(env, topology.Resume, "Let messages go on that were paused or killed", `Let messages go on that were paused or killed. What waits is sent, what was
killed stays ignored.`),
		newOrderCommand(env, topology.Kill, "Let messages be ignored, queued ones included", `Let messages be ignored, queued ones included, until resumed, or until a time.

Each becomes ignored, with reason killed, and is not sent later.`),
		newControlListCommand(env),
	)
	return cmd
}

type ordering struct {
	env     *command.Env
	action  topology.ControlAction
	by      string
	reason  string
	until   string
	length  time.Duration
	dryRun  bool
	timeout time.Duration
	orders  []topology.ControlRecord // that the command line gives
}

func newOrderCommand(env *command.Env, action topology.ControlAction, short, long string) *cobra.Command {
	o := ordering{env: env, action: action}
	cmd := &cobra.Command{
		Use:   string(action) + " SUBJECT...",
		Short: short,
		Long:  long,
		Example: fmt.Sprintf("  meddela control %s template:order_confirmation --reason 'wrong price'\n  meddela control %s type:newsletter channel:sms --dry-run",
			action, action),
		Args:    command.Arguments(1, -1, "one or more subjects"),
		PreRunE: func(_ *cobra.Command, args []string) error { return o.parse(args, time.Now()) },
		RunE:    env.Loaded(o.run),
	}
	flags := cmd.Flags()
	flags.StringVar(&o.by, "by", "", "who orders it; default: the user of this system")
	flags.StringVar(&o.reason, "reason", "", "why, for people")
	flags.BoolVar(&o.dryRun, "dry-run", false, "only say what would be ordered")
	flags.DurationVar(&o.timeout, "timeout", 30*time.Second, "how long Kafka may take")
	command.Bound(cmd, "timeout", func() bool { return o.timeout > 0 }, "a length of time such as 30s")
	if action != topology.Resume {
		flags.StringVar(&o.until, "until", "",
			"when it ends by itself: a time such as 2027-01-31T08:00:00Z, or a date, as of midnight UTC; default: never")
		flags.DurationVar(&o.length, "for", 0, "how long it lasts, such as 2h, instead of --until")
	}
	cmd.ValidArgsFunction = completeSubjects
	return cmd
}

func completeSubjects(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var all []string
	for _, c := range topology.Channels() {
		all = append(all, string(topology.SubjectOf(topology.SubjectChannel, string(c))))
	}
	for _, l := range topology.Lanes() {
		all = append(all, string(topology.SubjectOf(topology.SubjectLane, string(l))))
	}
	all = append(all, "template:", "type:", "provider:")
	return all, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

func (o *ordering) parse(subjects []string, now time.Time) error {
	end, err := command.EndOf(o.until, o.length, now)
	if err != nil {
		return err
	}
	by, err := command.Sign(o.by, "reason", o.reason)
	if err != nil {
		return err
	}
	seen := map[topology.Subject]bool{}
	for _, text := range subjects {
		subject, err := topology.ParseSubject(text)
		if err != nil {
			return command.Misusef("%v", err)
		}
		if !seen[subject] {
			seen[subject] = true
			o.orders = append(o.orders, topology.ControlRecord{
				Subject: subject, Action: o.action, By: by, Reason: o.reason, At: now.UTC().Truncate(time.Millisecond), Until: end,
			})
		}
	}
	return nil
}
