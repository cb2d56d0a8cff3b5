package templates

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
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
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/nearest"
)

// explaining is what `templates explain` was asked for, and what it has found.
type explaining struct {
	explain.Question
	env    *command.Env
	event  string // an id, or TOPIC/PARTITION/OFFSET; empty where it has been read from a file
	folder string
	at     string
	state  *topology.State // what Redis has, where it was asked
}

func newTemplatesExplainCommand(env *command.Env) *cobra.Command {
	x := explaining{env: env}
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
		Args:    command.Arguments(0, 1, "one event"),
		PreRunE: func(_ *cobra.Command, args []string) error { return x.parse(append(args, "-")[0]) },
		RunE:    env.Loaded(x.run),
	}
	command.WordFlag(cmd, &x.Lane, "lane", topology.Lanes(),
		"the lane of an event that is not on a topic: realtime (default) or batch")
	flags := cmd.Flags()
	flags.StringVar(&x.folder, "folder", "", "a folder of templates, instead of those that are published")
	flags.StringVar(&x.at, "at", "", "the time to decide at, RFC 3339, or received (default: now)")
	flags.BoolVar(&x.Show, "show", false, "show the recipient and the content of the message")
	return cmd
}

// atReceived is the --at of an event's own receipt.
const atReceived = "received"

// parse takes a name for a file where there is one, else for coordinates, else for an id.
func (x *explaining) parse(event string) (err error) {
	x.Now = time.Now()
	if x.at != "" && x.at != atReceived {
		if x.Now, err = time.Parse(time.RFC3339, x.at); err != nil {
			return command.Misusef("--at is %q: use a time such as 2026-12-01T08:00:00Z, or %s", wording.Abridged(x.at),
				atReceived)
		}
	}
	if x.folder != "" {
		report, err := loadFolder(x.folder, "the templates cannot be used")
		if err != nil {
			return err
		}
		if x.Catalogue, err = catalogue.New(report.Records()...); err != nil {
			return err
		}
	}
	if info, err := os.Stat(event); event == "-" || err == nil && !info.IsDir() {
		return x.readFile(event)
	}
	x.event = event
	if !isPosition(topology.Source(event)) && !topology.EventID(event).Valid() {
		return command.Misusef("%q is no file, no event id, and no TOPIC/PARTITION/OFFSET", wording.Abridged(event))
	}
	return nil
}

func (x *explaining) run(ctx context.Context, _ []string) (err error) {
	x.Names = x.env.Config.Names()
	if isPosition(topology.Source(x.event)) {
		err = x.readAt(ctx, topology.Source(x.event))
	} else if x.event != "" {
		err = x.readByID(ctx, topology.EventID(x.event))
	}
	if err != nil {
		return err
	}
	if x.Catalogue == nil {
		follower, err := x.env.Templates(ctx)
		if err != nil {
			return err
		}
		x.Catalogue = follower.Snapshot()
	}
	switch {
	case x.Record.Topic == "":
		x.Record.Time = x.Now // it is received as it is decided on
	case x.at == atReceived:
		x.Now = topology.ReceiptOf(&x.Record).At
	}
	answer := explanation{Explanation: explain.Explain(x.Question), State: x.state}
	if len(answer.Candidates) == 0 && answer.Fault == nil && !x.Catalogue.HasType(answer.Event.Type) {
		answer.DidYouMean = nearest.Word(answer.Event.Type, explain.Types(x.Catalogue))
	}
	return x.env.Print(answer, "%s", explanationText(x.env, &answer))
}

func isPosition(source topology.Source) bool {
	_, _, _, ok := source.Split()
	return ok
}

func (x *explaining) readFile(name string) error {
	x.Lane = cmp.Or(x.Lane, topology.Realtime)
	file, _, err := x.env.OpenInput(name)
	if err == nil {
		x.Record.Value, err = io.ReadAll(io.LimitReader(file, topology.MaxEventBytes+1))
	}
	if err != nil {
		return fmt.Errorf("the event cannot be read: %w", err)
	}
	if len(x.Record.Value) > topology.MaxEventBytes {
		return fmt.Errorf("the event is larger than an event may be, %d bytes", topology.MaxEventBytes)
	}
	return nil
}

func (x *explaining) readAt(ctx context.Context, source topology.Source) (err error) {
	topic, partition, offset, _ := source.Split()
	names := x.env.Config.Names()
	if x.Lane, _ = names.LaneOf(topic); !slices.Contains(names.Reads(topology.RoleMatch, x.Lane), topic) {
		return command.Misusef("%s is not a topic of events: they are on %s and %s", topic,
			names.Events(topology.Realtime), names.Events(topology.Batch))
	}
	topics, err := x.env.Topics(ctx)
	if err != nil {
		return err
	}
	if x.Record, err = topics.At(ctx, topic, partition, offset); err != nil {
		return fmt.Errorf("the event cannot be read: %w", err)
	}
	return nil
}

// readByID asks Redis where the event is.
func (x *explaining) readByID(ctx context.Context, id topology.EventID) error {
	client, err := x.env.Redis(ctx)
	if err != nil {
		return err
	}
	reader := &status.Reader{Client: client, Keys: x.env.Config.Keys()}
	state, known, err := reader.Get(ctx, id)
	switch {
	case err != nil:
		return err
	case !known:
		return fmt.Errorf("nothing is known of %s: give its file, or its TOPIC/PARTITION/OFFSET", id)
	case !isPosition(state.Source):
		return errors.Join(show.Print(x.env, &state), fmt.Errorf("the status of %s does not say where its record is", id))
	}
	x.state = &state
	if err := x.readAt(ctx, state.Source); err != nil {
		return fmt.Errorf("%w (Redis has the event as %s)", err, state.Status)
	}
	return nil
}

// explanation is what --output json shows.
type explanation struct {
	*explain.Explanation
	DidYouMean string          `json:"did_you_mean,omitempty"` // a type that is covered
	State      *topology.State `json:"state,omitempty"`        // what Redis has
}

type explainer struct {
	strings.Builder
	*explanation
	env *command.Env
}

func explanationText(env *command.Env, answer *explanation) string {
	x := explainer{env: env, explanation: answer}
	x.event()
	x.validity()
	if x.Fault == nil {
		x.candidates()
		x.language()
	}
	x.decision()
	if x.Message != nil {
		x.message()
	}
	if x.State != nil {
		x.heading("What Redis has")
		x.WriteString(show.Text(env, x.State))
	}
	return x.String()
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

// detail is a line below another, if there is a value, with what is to be said of it.
func (x *explainer) detail(name, value string, note ...string) {
	if value != "" {
		fmt.Fprintf(x, "      %-12s%s\n", name, wording.Printable(value+strings.Join(note, "")))
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
	e := &x.Event
	x.heading("Event")
	if f := x.Fault; f != nil {
		x.line(markNo, "it breaks the contract: %s (%s)", strings.TrimPrefix(f.Field+": "+f.Detail, ": "), f.Reason)
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
	v, at := &x.Validity, x.Decision.At
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
	x.detail("scheduled", show.Time(v.Scheduled))
	x.detail("expiration", show.Time(v.Expiration), "  of the event")
	if v.TTL > 0 {
		x.detail("ttl", time.Duration(v.TTL).String(), "  of the template, from receipt or the scheduled time")
	}
}

var otherCauses = map[explain.Cause]string{
	explain.Retired:    "is retired",
	explain.NotAnyMore: "covered it: the version live now does not",
}

func (x *explainer) candidates() {
	x.heading(fmt.Sprintf("Templates for %s by %s", wording.Printable(x.Event.Type), x.Event.Channel))
	if len(x.Candidates) == 0 {
		x.line(markNo, "none")
	}
	for i := range x.Candidates {
		x.candidate(&x.Candidates[i])
	}
	if x.DidYouMean != "" {
		x.line(markOther, "there are templates for the type %s: is that meant?", x.DidYouMean)
	}
	for _, o := range x.Others {
		x.line(markOther, "%s  %s", o.Template, cmp.Or(otherCauses[o.Cause], "is for channel "+string(o.Channel)))
	}
}

func (x *explainer) candidate(c *explain.Candidate) {
	mark := markNo
	if c.Outcome == explain.Chosen {
		mark = markYes
	}
	x.line(mark, "%s  %s", c.Template, c.Why)
	languages := fmt.Sprintf("%s of %s", c.Language, strings.Join(c.Languages, ", "))
	if x.Event.Language != "" {
		languages += ", " + farText(c, x.Event.Language)
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
	x.detail("published", cmp.Or(show.Time(c.PublishedAt), "not yet"))
}

func farText(c *explain.Candidate, wanted string) string {
	switch c.Distance {
	case 0:
		return "the wanted one"
	case template.DefaultDistance:
		return "the default"
	}
	return "the nearest to " + wanted
}

func (x *explainer) language() {
	if x.Language == nil {
		return
	}
	x.heading("Language")
	for _, link := range x.Language.Chain {
		switch {
		case link.Default && x.Language.Wanted == "":
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
	d := &x.Decision
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
	m := x.Message
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
		if part.Name == template.EmailSubject {
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
