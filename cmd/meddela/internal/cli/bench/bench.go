// Package bench has the command that measures a running cluster.
package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/show"
	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/cmd/meddela/samples"
	"github.com/meddela/meddela/consumer/status"
	"github.com/meddela/meddela/producer"
	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/retry"
)

// benchPrefix starts the id of every event that the command publishes.
const benchPrefix = "bench-"

type bench struct {
	env       *command.Env
	lane      topology.Lane
	events    int
	rate      float64
	eventType string
	file      string
	timeout   time.Duration
	yes       bool

	id       string // of the run, which the events' ids start with
	template map[string]json.RawMessage
	reader   *status.Reader
	waiting  []topology.EventID // published, and not in a final status
	states   []topology.State   // of those that are
	progress *command.Progress
}

// New makes the command bench.
func New(env *command.Env) *cobra.Command {
	b := &bench{env: env}
	cmd := &cobra.Command{
		Use:     "bench --lane LANE --yes",
		GroupID: command.GroupOperate,
		Short:   "Measure throughput and latency of your running roles with test events",
		Long: `Measure throughput and latency of your running roles with test events.

Publishes events to your own topics, follows their statuses in Redis until each is
final, and prints throughput, the latency from pending to sent, and the statuses.
Nothing is created or deleted. The events' ids start with "` + benchPrefix + `".

The roles deliver these messages as any others: a real provider sends them, and may
bill them; addresses of the samples bounce there. Hence --yes.`,
		Example: `  meddela bench --lane realtime --yes
  meddela bench --lane batch --events 20000 --rate 2000 --event event.json --yes -o json`,
		Args:    command.Arguments(0, 0, "no arguments"),
		PreRunE: func(*cobra.Command, []string) error { return b.parse() },
		RunE:    env.Loaded(b.run),
	}
	flags := cmd.Flags()
	command.RequireLane(cmd, &b.lane)
	flags.IntVar(&b.events, "events", 1000, "how many events are published")
	flags.Float64Var(&b.rate, "rate", 100, "events a second; 0 is as fast as Kafka takes them")
	flags.StringVar(&b.eventType, "type", "order_confirmation", "type of a sample event, for the sample templates")
	flags.StringVar(&b.file, "event", "", "file with the event to publish, one JSON object; its id is replaced")
	flags.DurationVar(&b.timeout, "timeout", 30*time.Second, "how long to wait while no further event becomes final")
	flags.BoolVar(&b.yes, "yes", false, "really publish the events, which the roles then deliver")
	command.Bound(cmd, "events", func() bool { return b.events >= 1 }, "at least 1")
	command.Bound(cmd, "rate", func() bool { return b.rate >= 0 }, "a positive number of events a second")
	command.Bound(cmd, "timeout", func() bool { return b.timeout > 0 }, "a length of time such as 30s")
	return cmd
}

func (b *bench) parse() error {
	value, err := b.event()
	if err != nil {
		return err
	}
	event, err := topology.DecodeEvent(topology.Record{Value: value}, b.lane)
	if err == nil {
		err = json.Unmarshal(value, &b.template)
	}
	if err != nil {
		return command.Misusef("the event cannot be published: %v", err)
	}
	if !b.yes {
		return command.Misusef("this publishes %d events of type %s, and real providers really send each to %s: "+
			"if so, add --yes", b.events, event.Type, wording.Abridged(event.To))
	}
	return nil
}

// event is what is published, but for its id.
func (b *bench) event() ([]byte, error) {
	if b.file != "" {
		return os.ReadFile(b.file)
	}
	next, stop := iter.Pull(samples.Events(1, time.Now))
	defer stop()
	for range 1000 { // which has each type many times
		sample, _ := next()
		if sample.Event.Type == b.eventType && sample.Want == topology.Sent {
			return sample.Event.Raw, nil
		}
	}
	return nil, command.Misusef("no sample event is of type %s: give one with --event FILE", wording.Abridged(b.eventType))
}

func (b *bench) run(ctx context.Context, _ []string) error {
	to, err := b.env.Producer(ctx)
	if err != nil {
		return err
	}
	client, err := b.env.Redis(ctx)
	if err != nil {
		return err
	}
	b.id = benchPrefix + ulid.Make().String()
	b.reader = &status.Reader{Client: client, Keys: b.env.Config.Keys()}
	b.progress = command.NewProgress(b.env.ErrOut)
	start := time.Now()
	if err := b.publish(ctx, to); err != nil {
		return err
	}
	publishing := time.Since(start)
	err = b.follow(ctx)
	b.progress.Clear()
	return errors.Join(b.print(b.result(start, publishing)), err)
}

func (b *bench) publish(ctx context.Context, to *producer.Producer) error {
	pace := command.Pacer{Rate: b.rate}
	batch := pace.BatchSize(command.MaxBatchLines)
	for done := 0; done < b.events; done += batch {
		n := min(batch, b.events-done)
		if err := pace.Wait(ctx, n); err != nil {
			return err
		}
		records := make([]topology.Record, n)
		for i := range records {
			id := fmt.Sprintf("%s-%d", b.id, done+i)
			b.template["id"] = json.RawMessage(`"` + id + `"`)
			records[i].Value, _ = json.Marshal(b.template) // which was read from JSON
		}
		acknowledged, cancel := context.WithTimeout(ctx, b.timeout)
		receipts, err := to.PublishRecords(acknowledged, b.lane, records)
		cancel()
		if err != nil {
			return fmt.Errorf("publishing: %w", err)
		}
		for _, receipt := range receipts {
			b.waiting = append(b.waiting, receipt.ID)
		}
		b.progress.Show("events published", done+n, int64(done+n), int64(b.events))
	}
	return nil
}

// follow looks at the statuses until all are final. Its error says what to do
// when they stop changing.
func (b *bench) follow(ctx context.Context) error {
	last, since := -1, time.Now()
	for {
		if err := b.look(ctx); err != nil || len(b.waiting) == 0 {
			return err
		}
		if len(b.states) != last {
			last, since = len(b.states), time.Now()
		}
		if time.Since(since) > b.timeout {
			return b.stuck(ctx)
		}
		if !retry.Sleep(ctx, 50*time.Millisecond) {
			return fmt.Errorf("stopped: %d events are still on their way", len(b.waiting))
		}
	}
}

// look moves the events that have become final.
func (b *bench) look(ctx context.Context) error {
	answers, err := b.reader.GetMany(ctx, b.waiting)
	if err != nil {
		return err
	}
	left := b.waiting[:0]
	for i, id := range b.waiting {
		switch {
		case answers[i].Err != nil:
			return answers[i].Err
		case answers[i].State.Status.Final():
			b.states = append(b.states, answers[i].State)
		default:
			left = append(left, id)
		}
	}
	b.waiting = left
	b.progress.Show("events final", len(b.states), int64(len(b.states)), int64(b.events))
	return nil
}

// stuck says which role an event that does not move waits for.
func (b *bench) stuck(ctx context.Context) error {
	answers, err := b.reader.GetMany(ctx, b.waiting[:1])
	if err != nil {
		return err
	}
	advice := "Redis has no status: is role status running, and on this Redis with these prefixes of topics and keys?"
	switch status := answers[0].State.Status; status {
	case "":
	case topology.Pending:
		advice = "they are pending: is role match running on this lane?"
	default:
		advice = fmt.Sprintf("%s is %s: is role deliver running, is delivery paused, is a retry due?", b.waiting[0], status)
	}
	return fmt.Errorf("none of %d events has become final for %v; %s `meddela check` and `meddela lag` say more",
		len(b.waiting), b.timeout, advice)
}

// benchResult is what was measured, as --output json shows it.
type benchResult struct {
	Run       string                  `json:"run"` // starts the ids of its events
	Lane      topology.Lane           `json:"lane"`
	Published int                     `json:"published"`
	Rate      float64                 `json:"published_per_second"`
	Final     float64                 `json:"final_per_second"`
	Latency   map[string]float64      `json:"pending_to_sent_ms"`
	Statuses  map[topology.Status]int `json:"statuses"`
	Waiting   int                     `json:"not_final"`
}

func (b *bench) result(start time.Time, publishing time.Duration) *benchResult {
	r := &benchResult{
		Run: b.id, Lane: b.lane, Statuses: make(map[topology.Status]int), Latency: make(map[string]float64),
		Published: len(b.states) + len(b.waiting), Waiting: len(b.waiting),
	}
	var latencies []float64 // in ms
	end := start
	for _, state := range b.states {
		r.Statuses[state.Status]++
		if state.FinalAt().After(end) {
			end = state.FinalAt()
		}
		if state.Status == topology.Sent && !state.PendingAt.IsZero() {
			latencies = append(latencies, state.FinalAt().Sub(state.PendingAt).Seconds()*1000)
		}
	}
	slices.Sort(latencies)
	if n := len(latencies); n > 0 {
		for name, share := range map[string]float64{"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1} {
			r.Latency[name] = latencies[min(int(share*float64(n)), n-1)]
		}
	}
	r.Rate, r.Final = command.PerSecond(r.Published, publishing), command.PerSecond(len(b.states), end.Sub(start))
	return r
}

func (b *bench) print(r *benchResult) error {
	t := command.NewTable()
	t.AppendRow([]any{"published", fmt.Sprintf("%d, %.0f a second, to %s", r.Published, r.Rate, r.Lane)})
	t.AppendRow([]any{"throughput", fmt.Sprintf("%.0f a second from the first event to the last final status", r.Final)})
	if l := r.Latency; len(l) > 0 {
		t.AppendRow([]any{"pending → sent", fmt.Sprintf("p50 %.0f ms, p90 %.0f ms, p99 %.0f ms, at most %.0f ms",
			l["p50"], l["p90"], l["p99"], l["max"])})
	}
	for _, s := range topology.Statuses() {
		if r.Statuses[s] > 0 {
			t.AppendRow([]any{command.Painted(b.env.Paint(show.Colour(s), "● ") + s.Label()), r.Statuses[s]})
		}
	}
	t.AppendRow([]any{"not final", r.Waiting})
	t.AppendRow([]any{"event ids", r.Run + "-…"})
	return b.env.PrintEither(r, t)
}
