// Package redrive has the commands that publish events again, and those about the tasks by which
// they do.
package redrive

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/tasks"
	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/consumer/lag"
	"github.com/meddela/meddela/consumer/scan"
	"github.com/meddela/meddela/consumer/status"
	"github.com/meddela/meddela/topology"
)

// taskHelp is what all commands that start a task do.
const taskHelp = `

First it says what would be published, and why what is refused is. --yes confirms
that; above 1,000 events --count does, with the number that was shown. What comes
to the topics meanwhile is not part of it.

Then it is a task: ten events go first, and once it is seen what became of them ten
a second, twice as many every two seconds, up to --rate. It waits while the lane is
behind, and pauses itself where more than a fifth fails again. Should this process
die, meddela tasks resume goes on, and nothing is sent twice. A lane has one task
at a time.

Each event keeps its id and the time of its receipt, so that a template's ttl runs
from the first time. What has been redriven three times is refused.`

// starting is one run of a command that starts tasks: one for each lane.
type starting struct {
	signing
	spec         topology.TaskSpec // but for what is a lane's own
	lanes        []topology.Lane
	since, until time.Duration
	check        func(name string) error // of what may be named, instead
	named        []string                // positions of dead letters, or ids of events
	dryRun, yes  bool
	count        int64
}

// filters are the flags that say what is to be found.
var filters = []string{"lane", "since", "until", "type", "channel", "reason", "status", "template", "provider", "role",
	"topic", "build"}

func newStarting(env *command.Env, kind topology.TaskKind) *starting {
	return &starting{signing: signing{env: env}, spec: topology.TaskSpec{Kind: kind}, lanes: topology.Lanes()}
}

func (s *starting) addRangeFlags(cmd *cobra.Command) {
	command.WordsFlag(cmd, &s.lanes, "lane", topology.Lanes(), "lanes to look through")
	cmd.Flags().DurationVar(&s.since, "since", 7*24*time.Hour, "how far back to look")
	cmd.Flags().DurationVar(&s.until, "until", 0, "leave out what is younger, such as 1h")
	command.Bound(cmd, "since", func() bool { return s.since > 0 }, "a length of time such as 24h")
	command.Bound(cmd, "until", func() bool { return s.until >= 0 }, "a length of time such as 1h")
}

func (s *starting) addEventFlags(cmd *cobra.Command, reasons []topology.Reason) {
	f := &s.spec.Filter
	cmd.Flags().StringVar(&f.Type, "type", "", "only events of this type")
	command.WordFlag(cmd, &f.Channel, "channel", topology.Channels(), "only events for this channel")
	command.WordFlag(cmd, &f.Reason, "reason", reasons, "only events that came to their end for this reason")
}

func (s *starting) command(cmd *cobra.Command) *cobra.Command {
	cmd.Long += taskHelp
	cmd.RunE = s.env.Loaded(s.run)
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		for _, name := range filters {
			if len(args) > 0 && cmd.Flags().Changed(name) {
				return command.Misusef("--%s is about what is found, and not about what is named: leave out one of the two", name)
			}
		}
		return nil
	}
	flags := cmd.Flags()
	s.addFlags(cmd)
	flags.Float64Var(&s.spec.Rate, "rate", 200, "most events a second")
	flags.BoolVar(&s.spec.Expired, "expired", false, "also what has expired, as if it were received now")
	flags.BoolVar(&s.dryRun, "dry-run", false, "only say what would be published")
	flags.BoolVar(&s.yes, "yes", false, "do it, if it is no more than 1,000 events")
	flags.Int64Var(&s.count, "count", 0, "do it, if it is exactly so many events")
	command.Bound(cmd, "rate", func() bool { return s.spec.Rate > 0 }, "a positive number of events a second")
	return cmd
}

// NewResend makes the command resend.
func NewResend(env *command.Env) *cobra.Command {
	s := newStarting(env, topology.ResendEvents)
	f := &s.spec.Filter
	f.Statuses = []topology.Status{topology.DeliveryError}
	cmd := s.command(&cobra.Command{
		Use:     "resend [ID...]",
		GroupID: command.GroupOperate,
		Short:   "Publish events again that came to no good end",
		Long: `Publish events again that came to no good end: those with these ids, or those of the
delivery log that the flags mean. They go from the events topic, as long as that has
them, to the lane's redrive topic, which only operators may write.

What was sent, or may have been, is refused, but for --new-message: each is then a
new message.`,
		Example: `  meddela resend --reason provider_rejected --template order_confirmation --since 2h --dry-run
  meddela resend --status ignored --reason killed --why 'killed by mistake' --yes
  meddela resend 01JD8Q3Z5X6P7R8S9T0V1W2X3Y --new-message --why 'the recipient asks for it' --yes`,
		Args: command.Arguments(0, mostIDs, "at most 1,000 ids of events"),
	})
	s.check = func(id string) error {
		if !topology.EventID(id).Valid() {
			return command.Misusef("%q is no event id", wording.Abridged(id))
		}
		return nil
	}
	s.addRangeFlags(cmd)
	s.addEventFlags(cmd, topology.Reasons())
	finals := slices.DeleteFunc(topology.Statuses(), func(s topology.Status) bool { return !s.Final() })
	command.WordsFlag(cmd, &f.Statuses, "status", finals, "only events of these statuses")
	cmd.Flags().StringVar(&f.Template, "template", "", "only events of this template, NAME or NAME@VERSION")
	cmd.Flags().StringVar(&f.Provider, "provider", "", "only events that this provider had")
	cmd.Flags().BoolVar(&s.spec.NewMessage, "new-message", false,
		"also what was sent, or may have been: each is a new message")
	return cmd
}

const mostIDs = 1000

// engine finds and judges, on the servers that are configured.
func (s *starting) engine(ctx context.Context) (*tasks.Engine, error) {
	topics, err := s.env.Topics(ctx)
	if err != nil {
		return nil, err
	}
	client, err := s.env.Redis(ctx)
	if err != nil {
		return nil, err
	}
	follower, err := s.env.Templates(ctx)
	if err != nil {
		return nil, err
	}
	return &tasks.Engine{Names: s.env.Config.Names(), Topics: topics, Live: follower.Snapshot, Now: time.Now,
		Statuses: &status.Reader{Client: client, Keys: s.env.Config.Keys()}}, nil
}

// freeze says what there is to be looked through, as of now: for each lane that has some.
func (s *starting) freeze(ctx context.Context, engine *tasks.Engine) (specs []topology.TaskSpec, err error) {
	topics, err := s.env.Topics(ctx)
	if err != nil {
		return nil, err
	}
	for _, lane := range s.lanes {
		spec, topic := s.spec, s.topic(engine.Names, lane)
		spec.Lane = lane
		switch {
		case len(s.named) == 0:
			spec.Ranges, err = s.ranges(ctx, topics, topic)
		case spec.Kind == topology.RedriveLetters:
			spec.Ranges, err = s.positions(ctx, topics, topic)
		default:
			spec.Filter = topology.TaskFilter{}
			spec.Events, err = s.events(ctx, engine, lane)
		}
		if err != nil {
			return nil, err
		}
		if len(spec.Ranges)+len(spec.Events) > 0 {
			specs = append(specs, spec)
		}
	}
	return specs, nil
}

// ranges are what a topic has of the time that is meant.
func (s *starting) ranges(ctx context.Context, topics *scan.Topics, topic topology.Topic) (of []topology.TaskRange,
	err error) {
	now, until := time.Now(), time.Time{}
	if s.until > 0 {
		until = now.Add(-s.until)
	}
	kept, err := topics.Between(ctx, topic, now.Add(-s.since), until)
	for _, r := range kept {
		of = append(of, topology.TaskRange{ID: r.ID, Partition: r.Partition, From: r.From, To: r.To})
	}
	return of, err
}

// positions are those of a topic that were named. Its error says which has no dead letter.
func (s *starting) positions(ctx context.Context, topics *scan.Topics, topic topology.Topic) (of []topology.TaskRange,
	err error) {
	id := ""
	for _, name := range s.named {
		in, partition, offset, _ := topology.Source(name).Split()
		if in != topic {
			continue
		}
		if len(of) == 0 {
			if id, err = topics.ID(ctx, topic); err != nil {
				return nil, err
			}
		}
		if _, err := topics.At(ctx, topic, partition, offset); err != nil {
			return nil, err
		}
		of = append(of, topology.TaskRange{ID: id, Partition: partition, From: offset, To: offset + 1})
	}
	slices.SortFunc(of, func(a, b topology.TaskRange) int { // progress is one offset for each partition
		return cmp.Or(cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.From, b.From))
	})
	return slices.Compact(of), nil
}

// events are those of a lane that were named.
func (s *starting) events(ctx context.Context, engine *tasks.Engine, lane topology.Lane) (of []topology.TaskEvent,
	err error) {
	ids := make([]topology.EventID, len(s.named))
	for i, name := range s.named {
		ids[i] = topology.EventID(name)
	}
	answers, err := engine.Statuses.GetMany(ctx, ids)
	for i := range answers {
		switch a := &answers[i]; {
		case a.Err != nil:
			return nil, a.Err
		case !a.Found:
			return nil, fmt.Errorf("nothing is known of %s: see meddela status --help", ids[i])
		case a.State.Lane == lane:
			of = append(of, topology.TaskEvent{ID: ids[i], Redrives: a.State.Redrives})
		}
	}
	return of, err
}

// started is a task before and after it.
type started struct {
	tasks.Preview
	Lane topology.Lane    `json:"lane"`
	Task string           `json:"task,omitempty"`
	Done map[string]int64 `json:"done,omitempty"`
}

func (s *starting) run(ctx context.Context, args []string) error {
	if err := s.sign(); err != nil {
		return err
	}
	s.named = args
	for _, name := range s.named {
		if err := s.check(name); err != nil {
			return err
		}
	}
	if slices.Contains(s.spec.Filter.Statuses, topology.Sent) && !s.spec.NewMessage {
		return command.Misusef("--status sent: what was sent would be another message: say so with --new-message")
	}
	engine, err := s.engine(ctx)
	if err != nil {
		return err
	}
	specs, err := s.freeze(ctx, engine)
	if err != nil {
		return err
	}
	views, total := make([]started, len(specs)), int64(0)
	for i := range specs {
		err := s.env.ShowScan("records of lane "+string(specs[i].Lane), func(p *scan.Progress) (err error) {
			views[i].Preview, err = engine.Preview(ctx, &specs[i], p)
			return err
		})
		if err != nil {
			return err
		}
		views[i].Lane, specs[i].Count = specs[i].Lane, views[i].Published
		total += views[i].Published
		if s.env.Output != command.JSON && views[i].Matched > 0 {
			if err := s.env.Printf("%s", views[i].text(&s.spec)); err != nil {
				return err
			}
		}
	}
	if !s.dryRun && total > 0 {
		if err := s.env.Confirm(total, s.yes, s.count); err != nil {
			return err
		}
		for i := range specs {
			if err == nil && views[i].Published > 0 {
				err = s.start(ctx, engine, &specs[i], &views[i])
			}
		}
	}
	if s.env.Output != command.JSON && total == 0 {
		where := ""
		if len(s.named) == 0 {
			where = s.looked(engine.Names, specs, views)
		}
		return s.env.Printf("nothing is to be published%s\n", where)
	} else if s.env.Output == command.JSON {
		if wrong := s.env.PrintJSON(map[string]any{"dry_run": s.dryRun, "published": total, "lanes": views}); wrong != nil {
			return wrong
		}
	}
	return err
}

// looked says where was looked in vain.
func (s *starting) looked(names topology.Topics, specs []topology.TaskSpec, views []started) string {
	records, topics := int64(0), make([]string, len(s.lanes))
	for i := range specs {
		if views[i].Matched > 0 {
			return "" // which is told
		}
		for _, r := range specs[i].Ranges {
			records += r.To - r.From
		}
	}
	for i, lane := range s.lanes {
		topics[i] = string(s.topic(names, lane))
	}
	until := ""
	if s.until > 0 {
		until = fmt.Sprintf(" until %s (--until)", wording.Moment(time.Now().Add(-s.until)))
	}
	return fmt.Sprintf(": %s in %s since %s (--since)%s, none of which matches",
		wording.Count(int(records), "record", "records"), strings.Join(topics, " and "),
		wording.Moment(time.Now().Add(-s.since)), until)
}

// topic has what is to be found.
func (s *starting) topic(names topology.Topics, lane topology.Lane) topology.Topic {
	if s.spec.Kind == topology.RedriveLetters {
		return names.DeadLetters(lane)
	}
	return names.DeliveryLog(lane)
}

func (s *starting) start(ctx context.Context, engine *tasks.Engine, spec *topology.TaskSpec, view *started) error {
	board, err := s.board(ctx)
	if err != nil {
		return err
	}
	t, err := board.Do(ctx, topology.TaskRecord{Task: tasks.NewID(time.Now()), Action: topology.TaskStart, Epoch: 1,
		Spec: spec, Why: s.why})
	if err != nil {
		return err
	}
	if other, _ := board.Snapshot().Of(spec.Lane); t.State == tasks.Refused {
		return fmt.Errorf("lane %s has task %s, which is %s: a lane has one at a time: meddela tasks resume or cancel %[2]s",
			spec.Lane, other.ID, other.State)
	}
	t, err = s.do(ctx, engine, board, t)
	view.Task, view.Done = t.ID, t.Counts
	return err
}

// late is how long the oldest of what a lane is to do waits when its alert is near.
var late = map[topology.Lane]time.Duration{topology.Realtime: 20 * time.Second, topology.Batch: 2 * time.Minute}

// do does a task that this process has, and says what came of it.
func (s *signing) do(ctx context.Context, engine *tasks.Engine, board *tasks.Board, t tasks.Task) (tasks.Task, error) {
	client, err := s.env.Client(ctx)
	if err != nil {
		return t, err
	}
	lane := t.Spec.Lane
	gauge := lag.Gauge{Addr: client.Addr, Transport: client.Transport, Names: engine.Names, Lanes: []topology.Lane{lane},
		Roles: topology.Roles(), Channels: topology.Channels()}
	run := tasks.Run{Engine: engine, Board: board, Task: t, Behind: func(ctx context.Context) string {
		report, err := gauge.Measure(ctx)
		if err != nil {
			return "how far the lane is behind cannot be measured: " + err.Error()
		}
		if report.Offline > 0 { // which may be of the lane, and are not measured
			return wording.Count(report.Offline, "partition has", "partitions have") + " no leader"
		}
		for i := range report.Groups {
			g := &report.Groups[i]
			if g.Err != nil {
				return "how far " + g.Name + " is behind cannot be measured: " + g.Err.Error()
			}
			if at := g.Oldest(); g.Runs() && !at.IsZero() && report.At.Sub(at) > late[lane] {
				return fmt.Sprintf("%s is %s behind", g.Name, report.At.Sub(at).Round(time.Second))
			}
		}
		return ""
	}}
	_, _ = fmt.Fprintf(s.env.ErrOut, "task %s begins: meddela tasks pause %[1]s, from elsewhere, stops it\n", t.ID)
	err = s.env.ShowScan("records", func(p *scan.Progress) error { return run.Do(ctx, p) })
	if err == nil && s.env.Output != command.JSON {
		err = s.env.Printf("task %s is done: %s\n", t.ID, countsText(run.Task.Counts))
	}
	return run.Task, err
}

func countsText(counts map[string]int64) string {
	text := fmt.Sprintf("%d published again", counts[tasks.Published])
	for _, why := range slices.Sorted(maps.Keys(counts)) {
		if why != tasks.Published {
			text += fmt.Sprintf(", %d %s", counts[why], why)
		}
	}
	return text
}

func (v *started) text(spec *topology.TaskSpec) string {
	var b strings.Builder
	what := wording.Count(int(v.Matched), "event", "events")
	if spec.Kind == topology.RedriveLetters {
		what = wording.Count(int(v.Matched), "dead letter", "dead letters")
	}
	fmt.Fprintf(&b, "lane %s: %s, %d to be published again\n", v.Lane, what, v.Published)
	for _, reason := range slices.Sorted(maps.Keys(v.Reasons)) {
		fmt.Fprintf(&b, "%8d  failed by %s\n", v.Reasons[reason], cmp.Or(reason, "no reason"))
	}
	for _, ref := range slices.Sorted(maps.Keys(v.Templates)) {
		fmt.Fprintf(&b, "%8d  would be published again, covered by %s\n", v.Templates[ref], ref)
	}
	for _, why := range slices.Sorted(maps.Keys(v.Refused)) {
		fmt.Fprintf(&b, "%8d  left as they are: %s", v.Refused[why], why)
		if explained := tasks.Explained[why]; explained != "" {
			b.WriteString(": " + explained)
		}
		b.WriteString("\n")
	}
	for _, sample := range v.Samples {
		fmt.Fprintf(&b, "  for instance  %s  %s  %s\n", sample.ID, sample.Reason, wording.Printable(string(sample.Source)))
	}
	return b.String()
}
