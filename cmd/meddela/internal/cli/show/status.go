// Package show prints the status of an event, for people and as JSON.
package show

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/topology"
)

// Time writes a time as the topics do; no time is an empty text.
func Time(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(topology.TimeFormat)
}

// Text is a status for people.
func Text(env *command.Env, s *topology.State) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s\n", env.Paint(Colour(s.Status), "● "+s.Status.Label()), s.EventID)
	field := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "  %-18s%s\n", name, wording.Printable(value))
		}
	}
	field("reason", string(s.Reason))
	field("detail", s.Detail)
	field("lane", string(s.Lane))
	field("type", s.Type)
	field("channel", string(s.Channel))
	field("template", string(s.Template))
	field("provider", strings.TrimSpace(s.Provider+" "+s.ProviderMessageID))
	if s.Attempt > 1 {
		field("attempt", strconv.Itoa(s.Attempt))
	}
	if s.Redrives > 0 {
		field("redriven", strconv.Itoa(s.Redrives))
	}
	field("source", string(s.Source))
	field("scheduled", Time(s.Scheduled))
	var before time.Time
	for _, stage := range []struct {
		status topology.Status
		at     time.Time
	}{{topology.Pending, s.PendingAt}, {topology.PendingDelivery, s.PendingDeliveryAt}, {s.Status, s.FinalAt()}} {
		if stage.at.IsZero() {
			continue
		}
		text := Time(stage.at)
		if since := stage.at.Sub(before); !before.IsZero() && since > 0 {
			text += fmt.Sprintf("  +%s", since)
		} else if !before.IsZero() && since < 0 { // clocks of two machines differ
			text += fmt.Sprintf("  %s", since)
		}
		field(string(stage.status), text)
		before = stage.at
	}
	if !s.Status.Final() {
		field("updated", Time(s.UpdatedAt))
	}
	return b.String()
}

// Colour is that of a status on a terminal.
func Colour(s topology.Status) text.Color { return cmp.Or(colours[s], text.FgCyan) }

var colours = map[topology.Status]text.Color{
	topology.Sent: text.FgGreen, topology.DeliveryError: text.FgRed, topology.NotCovered: text.FgYellow,
	topology.Expired: text.FgYellow, topology.Ignored: text.FgMagenta,
}

// Print prints a status in the form that was asked for.
func Print(env *command.Env, s *topology.State) error {
	return env.Print(s, "%s", Text(env, s))
}
