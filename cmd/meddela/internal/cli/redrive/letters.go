package redrive

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/tasks"
	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/consumer/scan"
	"github.com/meddela/meddela/topology"
)

// NewDeadLetters makes the command dead-letters.
func NewDeadLetters(env *command.Env) *cobra.Command {
	cmd := command.Parent(&cobra.Command{
		Use:     "dead-letters",
		GroupID: command.GroupOperate,
		Short:   "Look at what could not be handled, and publish it again",
		Long: `Look at what could not be handled, and publish it again: records that break the
contract, that crashed their role, or that a topic did not take. List counts them by
reason, show has the fault of one; once that is mended, redrive publishes them.`,
	})
	cmd.AddCommand(newLettersList(env), newLettersShow(env), newLettersRedrive(env))
	return cmd
}

func (s *starting) addLetterFlags(cmd *cobra.Command) {
	f := &s.spec.Filter
	s.addRangeFlags(cmd)
	command.WordFlag(cmd, &f.Reason, "reason", topology.Reasons(), "only dead letters with this reason")
	command.WordFlag(cmd, &f.Role, "role", append(topology.Roles(), topology.RoleNotify), "only those of this role")
	cmd.Flags().StringVar((*string)(&f.Topic), "topic", "", "only what was on this topic, by its full name")
	cmd.Flags().StringVar(&f.Build, "build", "", "only what failed in this build, as list shows it")
}

func newLettersList(env *command.Env) *cobra.Command {
	s := newStarting(env, topology.RedriveLetters)
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List dead letters by reason, role, topic and build",
		Long: `List dead letters by reason, by the role and the build that found them, and by the
topic that they were on, each with the position of one.`,
		Example: "  meddela dead-letters list\n  meddela dead-letters list --lane realtime --since 1h -o json",
		RunE:    env.Loaded(s.listLetters),
	}
	s.addLetterFlags(cmd)
	return cmd
}

func (s *starting) listLetters(ctx context.Context, _ []string) error {
	topics, err := s.env.Topics(ctx)
	if err != nil {
		return err
	}
	names := s.env.Config.Names()
	specs, err := s.freeze(ctx, &tasks.Engine{Names: names, Topics: topics})
	if err != nil {
		return err
	}
	var ranges []scan.Range
	for i := range specs {
		ranges = append(ranges, tasks.RangesOf(names.DeadLetters(specs[i].Lane), specs[i].Ranges)...)
	}
	var mu sync.Mutex
	byKey := tasks.Groups{}
	err = s.env.ShowScan("dead letters", func(p *scan.Progress) error {
		return topics.Scan(ctx, ranges, p, func(records []topology.Record) error {
			mu.Lock()
			defer mu.Unlock()
			for i := range records {
				l := topology.LetterOf(&records[i])
				lane, _ := names.LaneOf(records[i].Topic)
				if tasks.Means(&s.spec.Filter, &l) {
					byKey.Add(tasks.Key{Lane: lane, Reason: l.Reason, Role: l.Role, Topic: l.Original.Topic, Build: l.Build},
						l.Original.Time.UTC(), "", records[i].Source(), l.Error)
				}
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	groups := append([]*tasks.Group{}, byKey.Sorted()...)
	t := command.NewTable("dead letters", "reason", "role", "topic", "build", "first", "last", "for instance")
	for _, g := range groups {
		t.AppendRow([]any{g.Count, g.Reason, g.Role, g.Topic, cmp.Or(g.Build, "-"), wording.Moment(g.First),
			wording.Moment(g.Last), g.Source})
	}
	return s.env.PrintList(map[string]any{"groups": groups}, t, "", "no dead letters of the last "+wording.Length(s.since))
}

func newLettersShow(env *command.Env) *cobra.Command {
	raw := ""
	cmd := &cobra.Command{
		Use:   "show POSITION",
		Short: "Show a dead letter: its fault, headers and masked payload",
		Long: `Show the dead letter at a position, TOPIC/PARTITION/OFFSET: its fault, its headers,
and its payload, of which values are masked. What it really is may have addresses
and content of a message: --raw writes that to a file that only you can read.`,
		Example: `  meddela dead-letters show meddela.realtime.dead-letters/0/15
  meddela dead-letters show meddela.realtime.dead-letters/0/15 --raw letter.json`,
		Args: command.Arguments(1, 1, "a position, TOPIC/PARTITION/OFFSET"),
		RunE: env.Loaded(func(ctx context.Context, args []string) error { return showLetter(ctx, env, args[0], raw) }),
	}
	cmd.Flags().StringVar(&raw, "raw", "", "write the value, unmasked, to this file, which must not be there yet")
	return cmd
}

// isLetter is no error if a position is one of a topic of dead letters.
func isLetter(env *command.Env, position string) error {
	topic, _, _, _ := topology.Source(position).Split()
	names := env.Config.Names()
	if lane, _ := names.LaneOf(topic); topic == "" || topic != names.DeadLetters(lane) {
		return command.Misusef("%q is no position of a dead letter: use one that dead-letters list shows",
			wording.Abridged(position))
	}
	return nil
}

func showLetter(ctx context.Context, env *command.Env, position, raw string) error {
	if err := isLetter(env, position); err != nil {
		return err
	}
	topic, partition, offset, _ := topology.Source(position).Split()
	topics, err := env.Topics(ctx)
	if err != nil {
		return err
	}
	r, err := topics.At(ctx, topic, partition, offset)
	if err != nil {
		return err
	}
	if raw != "" {
		file, err := os.OpenFile(raw, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return fmt.Errorf("the value is not written: %w", err)
		}
		_, err = file.Write(r.Value)
		if err := cmp.Or(err, file.Close()); err != nil {
			return fmt.Errorf("the value is not written: %w", err)
		}
	}
	l := topology.LetterOf(&r)
	view := struct {
		Position topology.Source   `json:"position"`
		Original topology.Source   `json:"original"`
		Reason   topology.Reason   `json:"reason"`
		Error    string            `json:"error"`
		Role     topology.Role     `json:"role"`
		Build    string            `json:"build,omitempty"`
		FailedAt time.Time         `json:"failed_at"`
		Headers  map[string]string `json:"headers"`
		Bytes    int               `json:"bytes"`
		Payload  any               `json:"payload"` // masked; absent where it is no JSON
	}{topology.Source(position), l.Original.Source(), l.Reason, l.Error, l.Role, l.Build, l.Original.Time.UTC(),
		map[string]string{}, len(r.Value), nil}
	for _, h := range l.Original.Headers {
		view.Headers[h.Key] = maskedHeader(&h)
	}
	if json.Unmarshal(r.Value, &view.Payload) == nil {
		view.Payload = masked(view.Payload)
	}
	text, _ := json.MarshalIndent(view, "", "  ")
	return env.Print(view, "%s\n", wording.PrintableLines(string(text)))
}

// maskedHeader shows headers of ours and of tracing; others may hold anything.
func maskedHeader(h *topology.Header) string {
	switch h.Key {
	case topology.HeaderRedrives, topology.HeaderEventID, topology.HeaderSource, topology.HeaderReceivedAt, "traceparent",
		topology.HeaderChannel, topology.HeaderDue, topology.HeaderTarget, "content-type":
		return string(h.Value)
	}
	return maskedText(string(h.Value))
}

func maskedText(s string) string { return fmt.Sprintf("(%s)", wording.Count(len(s), "byte", "bytes")) }

// plainKey is a name of a member, and no address or number that is used as one.
var plainKey = regexp.MustCompile(`^[A-Za-z_][A-Za-z_-]{0,39}$`)

// masked hides what is in JSON, and shows its form.
func masked(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, value := range v {
			if !plainKey.MatchString(key) {
				key = maskedText(key)
			}
			out[key] = masked(value)
		}
		return out
	case []any:
		for i := range v {
			v[i] = masked(v[i])
		}
	case string:
		return maskedText(v)
	case float64:
		return "(number)"
	}
	return v
}

func newLettersRedrive(env *command.Env) *cobra.Command {
	s := newStarting(env, topology.RedriveLetters)
	cmd := s.command(&cobra.Command{
		Use:   "redrive [POSITION...]",
		Short: "Publish the events of dead letters again",
		Long: `Publish the events of dead letters again: of those at these positions,
TOPIC/PARTITION/OFFSET, or of those that the flags mean. Their bytes go, as they
were, to the lane's redrive topic, which only operators may write. A job's event
goes there too, and is matched anew.

Refused is what would fail again: what this build cannot understand, what crashed
this very build, what no template covers; and what is no event: entries and
notices.`,
		Example: `  meddela dead-letters redrive --reason internal_error --build 1.4.0 --dry-run
  meddela dead-letters redrive --role match --since 24h --why 'mended in 1.4.1' --count 12345
  meddela dead-letters redrive meddela.realtime.dead-letters/0/15 --yes`,
		Args: command.Arguments(0, mostIDs, "at most 1,000 positions"),
	})
	s.check = func(position string) error { return isLetter(env, position) }
	s.addLetterFlags(cmd)
	return cmd
}
