package templates

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/meddela/meddela/cmd/meddela/internal/authoring"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/show"
	"github.com/meddela/meddela/cmd/meddela/internal/explain"
	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/consumer/status"
	"github.com/meddela/meddela/topology"
)

// explaining is what `templates explain` was asked for.
type explaining struct {
	event  string // a file, -, an id, or TOPIC/PARTITION/OFFSET
	lane   topology.Lane
	folder string
	at     string
	show   bool
}

func newTemplatesExplainCommand(env *command.Env) *cobra.Command {
	var x explaining
	cmd := &cobra.Command{
		Use:   "explain [FILE | - | ID | TOPIC/PARTITION/OFFSET]",
		Short: "Say why an event becomes the message that it becomes, or none",
		Long: `Say why an event becomes the message that it becomes, or none: how it was read,
every template that was looked at and why it lost, the language, the decision, and
what is rendered. The decision is made by the function that the matcher runs.

The event is a file, standard input (-, the default), an id that Redis knows, or a
record by its coordinates. The templates are those published now or, with
--folder, those of a folder, for which a file needs neither Kafka nor Redis.

The recipient and the content of the message are shown with --show only.`,
		Example: `  meddela templates explain event.json --folder ./templates
  meddela templates explain 01JD8Q3Z5X6P7R8S9T0V1W2X3Y
  meddela templates explain meddela.realtime.events/3/1042 --at received
  meddela templates explain realtime-3-1042 -o json | jq '.candidates[] | {template, outcome, why}'`,
		Args: command.Arguments(0, 1, "one event"),
		RunE: func(cmd *cobra.Command, args []string) error {
			x.event = "-"
			if len(args) > 0 {
				x.event = args[0]
			}
			if err := env.Load(cmd); err != nil {
				return err
			}
			return explainEvent(cmd.Context(), env, &x)
		},
	}
	command.AddLaneFlag(cmd, &x.lane)
	flags := cmd.Flags()
	flags.Lookup("lane").Usage = "the lane of an event that is not on a topic: realtime (default) or batch"
	flags.StringVar(&x.folder, "folder", "", "a folder of templates, instead of those that are published")
	flags.StringVar(&x.at, "at", "", "the time to decide at, RFC 3339, or received (default: now)")
	flags.BoolVar(&x.show, "show", false, "show the recipient and the content of the message")
	return cmd
}

func explainEvent(ctx context.Context, env *command.Env, x *explaining) error {
	at, err := x.time()
	if err != nil {
		return err
	}
	found, err := findEvent(ctx, env, x)
	if err != nil {
		return err
	}
	templates, err := templatesOf(ctx, env, x.folder)
	if err != nil {
		return err
	}
	switch {
	case found.record.Topic == "":
		found.record.Time = at // it is received as it is decided on
	case x.at == atReceived:
		at = topology.ReceiptOf(&found.record).At
	}
	answer := explanationView{
		Explanation: explain.Explain(explain.Question{
			Record: found.record, Lane: found.lane, Catalogue: templates, Now: at, Show: x.show,
		}),
		state: found.state,
	}
	if len(answer.Candidates) == 0 && answer.Fault == nil {
		answer.DidYouMean = wording.Nearest(answer.Event.Type, explain.Types(templates))
		if answer.DidYouMean == answer.Event.Type {
			answer.DidYouMean = ""
		}
	}
	return printExplanation(env, &answer)
}

// atReceived is the --at of an event's own receipt.
const atReceived = "received"

func (x *explaining) time() (time.Time, error) {
	if x.at == "" || x.at == atReceived {
		return time.Now(), nil
	}
	at, err := time.Parse(time.RFC3339, x.at)
	if err != nil {
		return at, command.Misusef("--at is %q: use a time such as 2026-12-01T08:00:00Z, or %s", wording.Abridged(x.at), atReceived)
	}
	return at, nil
}

// foundEvent is an event's record, and what Redis has of it where it was asked.
type foundEvent struct {
	record topology.Record
	lane   topology.Lane
	state  *topology.State
}

// findEvent takes a name for a file where there is one, else for coordinates,
// else for an id.
func findEvent(ctx context.Context, env *command.Env, x *explaining) (foundEvent, error) {
	if x.event == "-" {
		return readEventFile(env, env.In, x.lane)
	}
	if info, err := os.Stat(x.event); err == nil && !info.IsDir() {
		file, err := os.Open(x.event)
		if err != nil {
			return foundEvent{}, fmt.Errorf("the event cannot be read: %w", err)
		}
		defer func() { _ = file.Close() }()
		return readEventFile(env, file, x.lane)
	}
	if source := topology.Source(x.event); isPlace(source) {
		return eventAt(ctx, env, source)
	}
	if id := topology.EventID(x.event); id.Valid() {
		return eventByID(ctx, env, id)
	}
	return foundEvent{}, command.Misusef("%q is no file, no event id, and no TOPIC/PARTITION/OFFSET", wording.Abridged(x.event))
}

func isPlace(source topology.Source) bool {
	_, _, _, ok := source.Place()
	return ok
}

// readEventFile reads an event that is on no topic.
func readEventFile(env *command.Env, from io.Reader, lane topology.Lane) (foundEvent, error) {
	value, err := io.ReadAll(io.LimitReader(from, topology.MaxEventBytes+1))
	if err != nil {
		return foundEvent{}, fmt.Errorf("the event cannot be read: %w", err)
	}
	if len(value) > topology.MaxEventBytes {
		return foundEvent{}, fmt.Errorf("the event is larger than an event may be, %d bytes", topology.MaxEventBytes)
	}
	if lane == "" {
		lane = topology.Realtime
	}
	return foundEvent{record: topology.Record{Value: value}, lane: lane}, nil
}

func eventAt(ctx context.Context, env *command.Env, source topology.Source) (foundEvent, error) {
	topic, partition, offset, _ := source.Place()
	lane, ok := env.Config.Names().LaneOf(topic)
	if !ok || topic != env.Config.Names().Events(lane) {
		return foundEvent{}, command.Misusef("%s is not a topic of events: they are on %s and %s", topic,
			env.Config.Names().Events(topology.Realtime), env.Config.Names().Events(topology.Batch))
	}
	connection, err := env.Kafka(ctx)
	if err != nil {
		return foundEvent{}, err
	}
	topics, done := command.ScanTopics(connection)
	defer done()
	record, err := topics.At(ctx, topic, partition, offset)
	if err != nil {
		return foundEvent{}, fmt.Errorf("the event cannot be read: %w", err)
	}
	return foundEvent{record: record, lane: lane}, nil
}

// eventByID asks Redis where the event is.
func eventByID(ctx context.Context, env *command.Env, id topology.EventID) (foundEvent, error) {
	client, err := env.Redis(ctx)
	if err != nil {
		return foundEvent{}, err
	}
	defer func() { _ = client.Close() }()
	reader := &status.Reader{Client: client, Keys: env.Config.Keys()}
	state, known, err := reader.Get(ctx, id)
	switch {
	case err != nil:
		return foundEvent{}, err
	case !known:
		return foundEvent{}, fmt.Errorf("nothing is known of %s: give its file, or its TOPIC/PARTITION/OFFSET", id)
	case !isPlace(state.Source):
		return foundEvent{}, errors.Join(show.Print(env, &state), fmt.Errorf("the status of %s does not say where its record is", id))
	}
	found, err := eventAt(ctx, env, state.Source)
	found.state = &state
	if err != nil {
		return found, fmt.Errorf("%w (Redis has the event as %s)", err, state.Status)
	}
	return found, nil
}

// templatesOf returns the templates of a folder, or those that are published.
func templatesOf(ctx context.Context, env *command.Env, folder string) (*catalogue.Catalogue, error) {
	if folder == "" {
		connection, err := env.Kafka(ctx)
		if err != nil {
			return nil, err
		}
		transport := connection.Transport()
		defer transport.CloseIdleConnections()
		return command.ReadCatalogue(ctx, env, connection, transport)
	}
	if info, err := os.Stat(folder); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("there is no folder %s", folder)
	}
	records, err := authoring.Load(os.DirFS(folder))
	if err != nil {
		return nil, fmt.Errorf("the templates cannot be used, because of %s:\n%w", folder, err)
	}
	return catalogue.New(records...)
}
