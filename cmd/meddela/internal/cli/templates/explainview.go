package templates

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/show"
	"github.com/meddela/meddela/cmd/meddela/internal/explain"
	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/topology"
)

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
	explain.FromPosition:   "from the record's place, as the event has no valid id of its own",
}

func (x *explainer) event() {
	e, fault := &x.v.Event, x.v.Fault
	x.heading("Event")
	if fault != nil {
		x.line(markNo, "it breaks the contract: %s (%s)", strings.TrimPrefix(fault.Field+": "+fault.Detail, ": "), fault.Reason)
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
