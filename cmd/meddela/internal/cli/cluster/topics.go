// Package cluster has the commands that look at Kafka and the roles from outside:
// topics, check and lag.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/segmentio/kafka-go"
	"github.com/spf13/cobra"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/config"
	"github.com/meddela/meddela/producer"
	"github.com/meddela/meddela/producer/provision"
	"github.com/meddela/meddela/topology"
)

// NewTopics makes the command topics.
func NewTopics(env *command.Env) *cobra.Command {
	cmd := command.Parent(&cobra.Command{
		Use:     "topics",
		GroupID: command.GroupRun,
		Short:   "Create topics, and see what differs from what they must be",
	})
	cmd.AddCommand(newTopicsApplyCommand(env))
	return cmd
}

func newTopicsApplyCommand(env *command.Env) *cobra.Command {
	var apply applyTopics
	cmd := &cobra.Command{
		Use:   "apply",
		Short: "Create the topics that are missing, and report what differs in the others",
		Long: `Create the topics that are missing, and report what differs in the others.

Topics that exist are never changed: what differs is shown with what to do about
it. A lane's topics need equal partition counts, because a record keeps its
partition number on its way; so a missing one gets as many as the lane's events
topic has. Run it as often as you like.`,
		Example: `  meddela topics apply --dry-run
  meddela topics apply --wait 2m
  MEDDELA_TOPICS_PARTITIONS=24 MEDDELA_TOPICS_REPLICATION=3 meddela topics apply -o json`,
		Args: command.Arguments(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := env.Load(cmd); err != nil {
				return err
			}
			apply.env = env
			return apply.run(cmd.Context())
		},
	}
	cmd.Flags().BoolVar(&apply.dryRun, "dry-run", false, "only say what would be done")
	cmd.Flags().DurationVar(&apply.wait, "wait", 0, "keep trying for so long until Kafka answers, such as 2m")
	return cmd
}

// applyTopics is one run of the command.
type applyTopics struct {
	env    *command.Env
	dryRun bool
	wait   time.Duration
}

func (t *applyTopics) run(ctx context.Context) error {
	connection, err := t.reach(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, command.ApplyTimeout)
	defer cancel()
	transport := connection.Transport()
	defer transport.CloseIdleConnections()
	client := &kafka.Client{Addr: connection.Addr(), Transport: transport}

	names, sizing := t.env.Config.Names(), t.env.Config.Sizing()
	existing, err := provision.Survey(ctx, client, topicsOf(names.Specs(sizing)))
	if err != nil {
		return err
	}
	plan := provision.Compare(names, sizing, existing)
	if !t.dryRun {
		if err := create(ctx, client, plan.Create); err != nil {
			return err
		}
	}
	return printPlan(t.env, plan, t.dryRun)
}

// reach connects to Kafka, and tries again for as long as --wait says.
func (t *applyTopics) reach(ctx context.Context) (producer.Connection, error) {
	const pause = time.Second
	for end := time.Now().Add(t.wait); ; {
		connection, err := t.env.Kafka(ctx)
		var faults config.Faults
		if err == nil || errors.As(err, &faults) || time.Now().Add(pause).After(end) {
			return connection, err
		}
		t.env.Log.Warn().Err(err).Msg("Kafka does not answer yet; trying on")
		select {
		case <-ctx.Done():
			return connection, err
		case <-time.After(pause):
		}
	}
}

func create(ctx context.Context, client *kafka.Client, specs []topology.TopicSpec) error {
	if err := provision.Create(ctx, client, specs); err != nil {
		return err
	}
	return provision.AwaitLeaders(ctx, client, topicsOf(specs))
}

func topicsOf(specs []topology.TopicSpec) []topology.Topic {
	topics := make([]topology.Topic, len(specs))
	for i := range specs {
		topics[i] = specs[i].Name
	}
	return topics
}

// planView is a plan as --output json shows it.
type planView struct {
	DryRun  bool        `json:"dry_run"`
	Created []topicView `json:"created"`
	Ready   int         `json:"ready"`
	Differs []driftView `json:"differs"`
}

type topicView struct {
	Topic      topology.Topic `json:"topic"`
	Partitions int            `json:"partitions"`
}

type driftView struct {
	provision.Drift
	Do string `json:"do"`
}

func printPlan(env *command.Env, plan provision.Plan, dryRun bool) error {
	view := planView{DryRun: dryRun, Created: []topicView{}, Ready: len(plan.Ready), Differs: []driftView{}}
	for _, spec := range plan.Create {
		view.Created = append(view.Created, topicView{spec.Name, spec.Partitions})
	}
	for _, d := range plan.Drift {
		view.Differs = append(view.Differs, driftView{d, driftAdvice(d)})
	}
	if env.Output == command.JSON {
		return env.PrintJSON(view)
	}
	return printPlanTable(env, view)
}

func printPlanTable(env *command.Env, view planView) error {
	done := env.Paint(text.FgGreen, "created")
	if view.DryRun {
		done = env.Paint(text.FgYellow, "missing")
	}
	if len(view.Created) > 0 {
		t := command.NewTable("topic", "", "partitions")
		for _, topic := range view.Created {
			t.AppendRow(table.Row{topic.Topic, done, topic.Partitions})
		}
		if err := env.PrintTable(t); err != nil {
			return err
		}
	}
	if len(view.Differs) > 0 {
		if err := printDrift(env, view.Differs); err != nil {
			return err
		}
	}
	verb := "created"
	if view.DryRun {
		verb = "to be created"
	}
	return env.Printf("%d topics are as they must be, %d %s, %d findings\n", view.Ready, len(view.Created), verb,
		len(view.Differs))
}

// printDrift prints the findings, and each advice once for all its topics.
func printDrift(env *command.Env, differs []driftView) error {
	t := command.NewTable("topic", "differs in", "has", "wanted")
	var order []string
	advice := make(map[string][]driftView)
	for _, d := range differs {
		t.AppendRow(table.Row{d.Topic, env.Paint(text.FgYellow, d.Setting), d.Have, d.Want})
		general := d.Drift
		general.Topic = "TOPIC"
		do := driftAdvice(general)
		if len(advice[do]) == 0 {
			order = append(order, do)
		}
		advice[do] = append(advice[do], d)
	}
	var lines []string
	for _, do := range order {
		who := fmt.Sprintf("%d topics", len(advice[do]))
		if only := advice[do][0]; len(advice[do]) == 1 {
			who, do = string(only.Topic), only.Do
		}
		lines = append(lines, "  "+who+": "+do)
	}
	if err := env.PrintTable(t); err != nil {
		return err
	}
	return env.Printf("what to do:\n%s\n", strings.Join(lines, "\n"))
}

// driftAdvice says what an operator can do about a finding.
func driftAdvice(d provision.Drift) string {
	switch d.Kind {
	case provision.NarrowLane:
		return fmt.Sprintf("kafka-topics.sh --alter --topic %s --partitions %s, and so for every topic of the lane; or set MEDDELA_TOPICS_PARTITIONS=%s", d.Topic, d.Want, d.Have)
	case provision.WideLane:
		return "set MEDDELA_TOPICS_PARTITIONS=" + d.Have + ": Kafka cannot take partitions away"
	case provision.TooFewPartitions:
		return fmt.Sprintf("kafka-topics.sh --alter --topic %s --partitions %s; or set MEDDELA_TOPICS_DEAD_LETTER_PARTITIONS=%s", d.Topic, d.Want, d.Have)
	case provision.TooManyPartitions:
		return "Kafka cannot take partitions away: set MEDDELA_TOPICS_DEAD_LETTER_PARTITIONS=" + d.Have +
			" for dead letters; delete any other topic and create it again"
	case provision.FewerThanEvents:
		return fmt.Sprintf("kafka-topics.sh --alter --topic %s --partitions %s; until then, several partitions of the lane share one here", d.Topic, d.Want)
	case provision.MoreThanEvents:
		return fmt.Sprintf("nothing: the partitions from %s on stay empty, until the lane's other topics have %s", d.Want,
			d.Have)
	case provision.OtherReplication:
		return "kafka-reassign-partitions.sh; or set MEDDELA_TOPICS_REPLICATION=" + d.Have
	case provision.UnknownConfig:
		return "allow our Kafka user to describe the configuration of its topics"
	default:
		return fmt.Sprintf("kafka-configs.sh --alter --entity-type topics --entity-name %s --add-config %s=%s", d.Topic,
			d.Setting, d.Want)
	}
}
