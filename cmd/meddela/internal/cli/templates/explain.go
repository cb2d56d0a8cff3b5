package templates

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

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
		return at, command.Misusef("--at is %q: use a time such as 2026-12-01T08:00:00Z, or %s", wording.Abridged(x.at),
			atReceived)
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
	if info, err := os.Stat(x.event); x.event == "-" || err == nil && !info.IsDir() {
		return readEventFile(env, x.event, x.lane)
	}
	if source := topology.Source(x.event); isPosition(source) {
		return eventAt(ctx, env, source)
	}
	if id := topology.EventID(x.event); id.Valid() {
		return eventByID(ctx, env, id)
	}
	return foundEvent{}, command.Misusef("%q is no file, no event id, and no TOPIC/PARTITION/OFFSET",
		wording.Abridged(x.event))
}

func isPosition(source topology.Source) bool {
	_, _, _, ok := source.Split()
	return ok
}

// readEventFile reads an event that is on no topic.
func readEventFile(env *command.Env, name string, lane topology.Lane) (foundEvent, error) {
	file, _, err := env.OpenInput(name)
	if err != nil {
		return foundEvent{}, fmt.Errorf("the event cannot be read: %w", err)
	}
	defer func() { _ = file.Close() }()
	value, err := io.ReadAll(io.LimitReader(file, topology.MaxEventBytes+1))
	if err != nil {
		return foundEvent{}, fmt.Errorf("the event cannot be read: %w", err)
	}
	if len(value) > topology.MaxEventBytes {
		return foundEvent{}, fmt.Errorf("the event is larger than an event may be, %d bytes", topology.MaxEventBytes)
	}
	return foundEvent{record: topology.Record{Value: value}, lane: cmp.Or(lane, topology.Realtime)}, nil
}

func eventAt(ctx context.Context, env *command.Env, source topology.Source) (foundEvent, error) {
	topic, partition, offset, _ := source.Split()
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
	case !isPosition(state.Source):
		return foundEvent{}, errors.Join(show.Print(env, &state),
			fmt.Errorf("the status of %s does not say where its record is", id))
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
		return published(ctx, env, connection)
	}
	records, err := loadFolder(folder, "the templates cannot be used")
	if err != nil {
		return nil, err
	}
	return catalogue.New(records...)
}

// explanationView is an explanation as --output json shows it.
type explanationView struct {
	*explain.Explanation
	DidYouMean string      `json:"did_you_mean,omitempty"` // a type that is covered
	State      *show.State `json:"state,omitempty"`        // what Redis has

	state *topology.State
}

func printExplanation(env *command.Env, v *explanationView) error {
	if env.Output == command.JSON {
		if v.state != nil {
			state := show.StateOf(v.state)
			v.State = &state
		}
		return env.PrintJSON(v)
	}
	x := explainer{env: env, v: v}
	x.event()
	x.validity()
	if v.Fault == nil {
		x.candidates()
		x.others()
		x.language()
	}
	x.decision()
	x.message()
	if v.state != nil {
		x.heading("What Redis has")
		x.WriteString(show.Text(env, v.state))
	}
	return env.Printf("%s", x.String())
}

// explainer words an explanation for people.
type explainer struct {
	strings.Builder
	env *command.Env
	v   *explanationView
}

func (x *explainer) heading(name string) {
	if x.Len() > 0 {
		x.WriteString("\n")
	}
	x.WriteString(x.env.Paint(text.Bold, name) + "\n")
}

// Marks of lines.
const (
	markYes   = "✓"
	markNo    = "✗"
	markOther = "·"
)

func (x *explainer) line(mark, format string, values ...any) {
	colour := map[string]text.Color{markYes: text.FgGreen, markNo: text.FgRed, markOther: text.FgHiBlack}[mark]
	fmt.Fprintf(x, "  %s %s\n", x.env.Paint(colour, mark), wording.Printable(fmt.Sprintf(format, values...)))
}

// detail is a line below another.
func (x *explainer) detail(name, value string) {
	if value != "" {
		fmt.Fprintf(x, "      %-12s%s\n", name, wording.Printable(value))
	}
}

var formats = map[explain.Format]string{
	explain.Plain:                "plain JSON",
	explain.BinaryCloudEvent:     "a CloudEvent in binary mode",
	explain.StructuredCloudEvent: "a CloudEvent in structured mode",
}

var idOrigins = map[explain.IDFrom]string{
	explain.FromCloudEvent: "from the header ce_id",
	explain.FromValue:      "from the event",
	explain.FromOperator:   "from the header " + topology.HeaderEventID + ", which an operator's command wrote",
	explain.FromPosition:   "from the record's position, as the event has no valid id of its own",
}

func (x *explainer) event() {
	e, fault := &x.v.Event, x.v.Fault
	x.heading("Event")
	if fault != nil {
		x.line(markNo, "it breaks the contract: %s (%s)", strings.TrimPrefix(fault.Field+": "+fault.Detail, ": "),
			fault.Reason)
	} else {
		x.line(markYes, "read as %s, %s, on lane %s", formats[e.Format], wording.Count(e.Bytes, "byte", "bytes"), e.Lane)
	}
	origin := idOrigins[e.IDFrom]
	if e.Source == "" && e.IDFrom == explain.FromPosition {
		origin = "as it would be at offset 0: the event has no valid id of its own"
	}
	x.detail("id", string(e.ID)+"  "+origin)
	x.detail("source", string(e.Source))
	if e.Redrives > 0 {
		x.detail("redrives", fmt.Sprint(e.Redrives))
	}
	x.detail("type", e.Type)
	x.detail("channel", string(e.Channel))
	x.detail("to", e.To)
	x.detail("language", e.Language)
}

func (x *explainer) validity() {
	v, at := &x.v.Validity, x.v.Decision.At
	x.heading("Validity, at " + show.Time(at))
	ends := "for ever"
	if !v.Expires.IsZero() {
		ends = "until " + show.Time(v.Expires)
	}
	switch v.State {
	case explain.Ended:
		x.line(markNo, "it ended %s ago, at %s", at.Sub(v.Expires).Round(time.Second), show.Time(v.Expires))
	case explain.Waiting:
		x.line(markOther, "not to be sent for another %s; valid %s", v.Scheduled.Sub(at).Round(time.Second), ends)
	default:
		x.line(markYes, "valid %s", ends)
	}
	x.detail("received", show.Time(v.Received))
	if !v.Scheduled.IsZero() {
		x.detail("scheduled", show.Time(v.Scheduled))
	}
	if !v.Expiration.IsZero() {
		x.detail("expiration", show.Time(v.Expiration)+"  of the event")
	}
	if v.TTL > 0 {
		x.detail("ttl", time.Duration(v.TTL).String()+"  of the template, from receipt or the scheduled time")
	}
}

func (x *explainer) candidates() {
	x.heading(fmt.Sprintf("Templates for %s by %s", wording.Printable(x.v.Event.Type), x.v.Event.Channel))
	if len(x.v.Candidates) == 0 {
		x.line(markNo, "none")
	}
	for i := range x.v.Candidates {
		x.candidate(&x.v.Candidates[i])
	}
	if x.v.DidYouMean != "" {
		x.line(markOther, "there are templates for the type %s: is that meant?", x.v.DidYouMean)
	}
}

func (x *explainer) candidate(c *explain.Candidate) {
	mark := markNo
	if c.Outcome == explain.Chosen {
		mark = markYes
	}
	x.line(mark, "%s  %s", c.Template, c.Why)
	languages := fmt.Sprintf("%s of %s", c.Language, strings.Join(c.Languages, ", "))
	if x.v.Event.Language != "" {
		languages += ", " + farText(c, x.v.Event.Language)
	}
	x.detail("language", languages)
	if c.When != "" {
		x.detail("when", strings.Join(strings.Fields(c.When), " "))
		verdict := cmp.Or(c.Failure, string(c.Condition))
		if c.Failure != "" {
			verdict = "failed: " + verdict
		}
		if !c.Asked {
			verdict += "  (not asked for: it was out before)"
		}
		x.detail("", "→ "+verdict)
	}
	published := "not yet"
	if !c.PublishedAt.IsZero() {
		published = show.Time(c.PublishedAt)
	}
	x.detail("published", published)
}

// farText says how far a candidate's language is from the wanted one.
func farText(c *explain.Candidate, wanted string) string {
	_, nearer, _ := strings.Cut(strings.ReplaceAll(wanted, "_", "-"), "-")
	switch {
	case c.Distance == 0:
		return "the wanted one"
	case c.Distance <= 1+strings.Count(nearer, "-"):
		return "the nearest to " + wanted
	}
	return "the default"
}

var otherCauses = map[explain.Cause]string{
	explain.Retired:    "is retired",
	explain.NotAnyMore: "covered it: the version live now does not",
}

func (x *explainer) others() {
	for _, o := range x.v.Others {
		x.line(markOther, "%s  %s", o.Template, cmp.Or(otherCauses[o.Cause], "is for channel "+string(o.Channel)))
	}
}

func (x *explainer) language() {
	l := x.v.Language
	if l == nil {
		return
	}
	x.heading("Language")
	for _, link := range l.Chain {
		switch {
		case link.Default && l.Wanted == "":
			x.line(markYes, "%s  the default: the event names none", link.Language)
		case link.Default:
			x.line(markYes, "%s  the default", link.Language)
		case link.Found:
			x.line(markYes, "%s", link.Language)
		default:
			x.line(markNo, "%s  there is none", link.Language)
		}
	}
}

func (x *explainer) decision() {
	d := &x.v.Decision
	x.heading("Decision")
	mark := markNo
	if d.Status == topology.PendingDelivery {
		mark = markYes
	}
	line := string(d.Status)
	if d.Reason != "" {
		line += " (" + string(d.Reason) + ")"
	}
	if d.Template != "" {
		line += ": " + string(d.Template) + " in " + d.Language
	}
	x.line(mark, "%s", line)
	x.detail("detail", d.Detail)
}

func (x *explainer) message() {
	m := x.v.Message
	if m == nil {
		return
	}
	x.heading("Message")
	switch {
	case m.Error != nil:
		x.line(markNo, "it cannot be rendered: %s: %s (%s)", m.Error.Where, m.Error.Detail, m.Error.Reason)
		return
	case m.NoAddress:
		x.line(markNo, "the event has no address: delivery ignores it (%s)", topology.ReasonMissingAddress)
	default:
		x.line(markYes, "to %s", m.To)
	}
	x.detail("subject", m.Subject)
	for _, part := range m.Parts {
		if part.Name == "email.subject" {
			continue
		}
		x.detail(part.Name, wording.Count(part.Bytes, "byte", "bytes"))
		if !m.Masked {
			fmt.Fprintf(x, "\n%s\n\n", wording.PrintableLines(strings.TrimSpace(part.Text)))
		}
	}
	if m.Masked {
		x.detail("", "masked: --show shows it")
	}
}
