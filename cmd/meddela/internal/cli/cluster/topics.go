// Package cluster has the commands that look at Kafka and the roles from outside:
// topics, check and lag.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/segmentio/kafka-go"
	"github.com/spf13/cobra"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/config"
	"github.com/meddela/meddela/producer/provision"
	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/retry"
)

// NewTopics makes the command topics.
func NewTopics(env *command.Env) *cobra.Command {
	cmd := command.Parent(&cobra.Command{
		Use:     "topics",
		GroupID: command.GroupRun,
		Short:   "Create topics, and see what differs from what they must be",
	})
	var dryRun bool
	var wait time.Duration
	applying := &cobra.Command{
		Use:   "apply",
		Short: "Create the topics that are missing, and report what differs in the others",
		Long: `Create the topics that are missing, and report what differs in the others.

Topics that exist are never changed: what differs is shown with what to do about
it. A lane's topics need equal partition counts, because a record keeps its
partition number on its way; so a missing one gets as many as the lane's events
topic has. MEDDELA_TOPICS_BATCH_QUOTA sets the quota of the batch lane as well, or
removes it (-1); what quotas are in force is shown.
Run it as often as you like.`,
		Example: `  meddela topics apply --dry-run
  meddela topics apply --wait 2m
  MEDDELA_TOPICS_PARTITIONS=24 MEDDELA_TOPICS_REPLICATION=3 meddela topics apply -o json`,
		RunE: env.Loaded(func(ctx context.Context, _ []string) error {
			if err := reach(ctx, env, wait); err != nil {
				return err
			}
			return apply(ctx, env, dryRun)
		}),
	}
	applying.Flags().BoolVar(&dryRun, "dry-run", false, "only say what would be done")
	applying.Flags().DurationVar(&wait, "wait", 0, "keep trying for so long until Kafka answers, such as 2m")
	cmd.AddCommand(applying)
	return cmd
}

// reach connects to Kafka, and tries again for as long as --wait says.
func reach(ctx context.Context, env *command.Env, wait time.Duration) error {
	const pause = time.Second
	for end := time.Now().Add(wait); ; {
		_, err := env.Kafka(ctx)
		if err == nil || errors.As(err, new(config.Faults)) || time.Now().Add(pause).After(end) {
			return err
		}
		env.Log.Warn().Err(err).Msg("Kafka does not answer yet; trying on")
		if !retry.Sleep(ctx, pause) {
			return err
		}
	}
}

func apply(ctx context.Context, env *command.Env, dryRun bool) error {
	ctx, cancel := context.WithTimeout(ctx, command.ApplyTimeout)
	defer cancel()
	client, err := env.Client(ctx)
	if err != nil {
		return err
	}
	plan, err := planTopics(ctx, env, client)
	if err != nil {
		return err
	}
	if !dryRun {
		if err := provision.Create(ctx, client, plan.Create); err != nil {
			return err
		}
		if err := provision.AwaitLeaders(ctx, client, topicsOf(plan.Create)); err != nil {
			return err
		}
		if quota := env.Config.Topics.BatchQuota; quota != 0 {
			if err := provision.Quota(ctx, client, env.Config.Kafka.LaneClient(topology.Batch), quota); err != nil {
				return err
			}
		}
	}
	quotas := quotasOf(ctx, env, client)
	if env.Config.Topics.BatchQuota < 0 && !dryRun {
		delete(quotas, topology.Batch) // a broker may not have heard of it yet
	}
	return printPlan(env, plan, quotas, dryRun)
}

// quotasOf says what each lane's client may read and write now, where that is limited.
func quotasOf(ctx context.Context, env *command.Env, client *kafka.Client) map[topology.Lane]string {
	quotas := make(map[topology.Lane]string)
	for _, lane := range topology.Lanes() {
		limits, err := provision.Quotas(ctx, client, env.Config.Kafka.LaneClient(lane))
		if err != nil {
			quotas[lane] = err.Error()
			continue
		}
		for _, key := range slices.Sorted(maps.Keys(limits)) {
			quotas[lane] += fmt.Sprintf(" %s=%.0f", key, limits[key])
		}
	}
	maps.DeleteFunc(quotas, func(_ topology.Lane, said string) bool { return said == "" })
	return quotas
}

// planTopics says what the cluster's topics lack.
func planTopics(ctx context.Context, env *command.Env, client *kafka.Client) (plan provision.Plan, err error) {
	names, sizing := env.Config.Names(), env.Config.Sizing()
	existing, err := provision.Survey(ctx, client, topicsOf(names.Specs(sizing)))
	if err == nil {
		plan = provision.Compare(names, sizing, existing)
	}
	return plan, err
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
	Quota   int         `json:"batch_quota,omitempty"`
	// Quotas are those in force, by lane.
	Quotas  map[topology.Lane]string `json:"quotas,omitempty"`
	Ready   int                      `json:"ready"`
	Differs []driftView              `json:"differs"`
}

type topicView struct {
	Topic      topology.Topic `json:"topic"`
	Partitions int            `json:"partitions"`
}

type driftView struct {
	provision.Drift
	Do string `json:"do"`
}

func printPlan(env *command.Env, plan provision.Plan, quotas map[topology.Lane]string, dryRun bool) error {
	view := planView{DryRun: dryRun, Created: []topicView{}, Ready: len(plan.Ready), Differs: []driftView{},
		Quota: env.Config.Topics.BatchQuota, Quotas: quotas}
	verb, mark, set := "created", env.Paint(text.FgGreen, "created"), "set to"
	if dryRun {
		verb, mark, set = "to be created", env.Paint(text.FgYellow, "missing"), "to be set to"
	}
	created := command.NewTable("topic", "", "partitions")
	for _, spec := range plan.Create {
		view.Created = append(view.Created, topicView{spec.Name, spec.Partitions})
		created.AppendRow(table.Row{spec.Name, command.Painted(mark), spec.Partitions})
	}
	differs := command.NewTable("topic", "differs in", "has", "wanted")
	for _, d := range plan.Drift {
		view.Differs = append(view.Differs, driftView{d, driftAdvice(d)})
		differs.AppendRow(table.Row{d.Topic, command.Painted(env.Paint(text.FgYellow, d.Setting)), d.Have, d.Want})
	}
	if env.Output == command.JSON {
		return env.PrintJSON(view)
	}
	var err error
	if len(view.Created) > 0 {
		err = env.PrintTable(created)
	}
	if view.Quota > 0 {
		err = errors.Join(err, env.Printf("quota of the batch lane %s %d bytes a second on each broker\n", set, view.Quota))
	}
	if view.Quota < 0 && !dryRun {
		err = errors.Join(err, env.Printf("quota of the batch lane removed\n"))
	}
	for _, lane := range slices.Sorted(maps.Keys(quotas)) {
		err = errors.Join(err, env.Printf("quota in force on each broker, in bytes a second, of lane %s: %s\n", lane,
			strings.TrimSpace(quotas[lane])))
	}
	if len(view.Differs) > 0 {
		err = errors.Join(err, env.PrintTable(differs), env.Printf("what to do:\n%s", whatToDo(view.Differs)))
	}
	return errors.Join(err, env.Printf("%d topics are as they must be, %d %s, %d findings\n", view.Ready,
		len(view.Created), verb, len(view.Differs)))
}

// whatToDo has each advice once for all its topics.
func whatToDo(differs []driftView) string {
	general := func(d driftView) string { d.Topic = "TOPIC"; return driftAdvice(d.Drift) }
	var b strings.Builder
	for len(differs) > 0 {
		first, do := differs[0], general(differs[0])
		others := slices.DeleteFunc(slices.Clone(differs), func(d driftView) bool { return general(d) == do })
		if n := len(differs) - len(others); n > 1 {
			fmt.Fprintf(&b, "  %d topics: %s\n", n, do)
		} else {
			fmt.Fprintf(&b, "  %s: %s\n", first.Topic, first.Do)
		}
		differs = others
	}
	return b.String()
}

var advices = map[provision.Kind]string{
	provision.NarrowLane: "kafka-topics.sh --alter --topic {topic} --partitions {want}, and so for every topic of " +
		"the lane; or set MEDDELA_TOPICS_PARTITIONS={have}",
	provision.WideLane: "set MEDDELA_TOPICS_PARTITIONS={have}: Kafka cannot take partitions away",
	provision.TooFewPartitions: "kafka-topics.sh --alter --topic {topic} --partitions {want}; " +
		"or set MEDDELA_TOPICS_DEAD_LETTER_PARTITIONS={have}",
	provision.TooManyPartitions: "Kafka cannot take partitions away: set MEDDELA_TOPICS_DEAD_LETTER_PARTITIONS={have} " +
		"for dead letters; delete any other topic and create it again",
	provision.FewerThanEvents: "kafka-topics.sh --alter --topic {topic} --partitions {want}; until then, several " +
		"partitions of the lane share one here",
	provision.MoreThanEvents: "nothing: the partitions from {want} on stay empty, until the lane's other topics " +
		"have {have}",
	provision.OtherReplication: "kafka-reassign-partitions.sh; or set MEDDELA_TOPICS_REPLICATION={have}",
	provision.UnknownConfig:    "allow our Kafka user to describe the configuration of its topics",
	provision.SmallMessages: "kafka-configs.sh --alter --entity-type topics --entity-name {topic} " +
		"--add-config {setting}={want}; until then what it does not take becomes dead letters: of a delivery log, messages " +
		"that went out have no status",
	provision.OtherConfig: "kafka-configs.sh --alter --entity-type topics --entity-name {topic} " +
		"--add-config {setting}={want}",
}

// driftAdvice says what an operator can do about a finding.
func driftAdvice(d provision.Drift) string {
	return strings.NewReplacer("{topic}", string(d.Topic), "{setting}", d.Setting, "{have}", d.Have, "{want}", d.Want).
		Replace(advices[d.Kind])
}
