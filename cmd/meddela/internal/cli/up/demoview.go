package up

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/show"
	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/consumer/deliver/provider/sandbox"
	"github.com/meddela/meddela/topology"
)

// demoView shows counts as they grow: on a terminal a table that is drawn over
// itself, elsewhere a line now and then.
type demoView struct {
	env   *command.Env
	start time.Time
	live  bool
	lines int // of the table that stands on the terminal
	next  time.Time
}

// lineInterval is how often a line is written where no table can be redrawn.
const lineInterval = 2 * time.Second

func (v *demoView) show(counts map[topology.Lane]*laneCount) {
	if v.live {
		table := demoTable(v.env, counts, time.Since(v.start))
		v.clear()
		v.lines = strings.Count(table, "\n")
		_ = v.env.Printf("%s", table)
	} else if now := time.Now(); now.After(v.next) {
		v.next = now.Add(lineInterval)
		_ = v.env.Printf("%s\n", demoLine(counts))
	}
}

// clear takes the table away.
func (v *demoView) clear() {
	if v.lines > 0 {
		_ = v.env.Printf("\x1b[%dA\x1b[J", v.lines)
		v.lines = 0
	}
}

func demoLine(counts map[topology.Lane]*laneCount) string {
	var parts []string
	for _, lane := range topology.Lanes() {
		c := counts[lane]
		line := fmt.Sprintf("%s: %d published", lane, c.published)
		for _, s := range topology.Statuses() {
			if n := c.now[s]; n > 0 {
				line += fmt.Sprintf(", %d %s", n, s)
			}
		}
		parts = append(parts, line)
	}
	return strings.Join(parts, "; ")
}

// demoTable has a row for each status, a column for each lane.
func demoTable(env *command.Env, counts map[topology.Lane]*laneCount, elapsed time.Duration) string {
	t := command.NewTable("status", "realtime", "batch")
	realtime, batch := counts[topology.Realtime], counts[topology.Batch]
	for _, s := range topology.Statuses() {
		t.AppendRow([]any{env.Paint(show.Colour(s), "● ") + s.Label(), realtime.now[s], batch.now[s]})
	}
	t.AppendRow([]any{"", "", ""})
	t.AppendRow([]any{"published", realtime.published, batch.published})
	t.AppendRow([]any{"events per second", ratePer(realtime.published, elapsed), ratePer(batch.published, elapsed)})
	t.AppendRow([]any{"publish → sent, median", milliseconds(realtime.quantile(0.5)), milliseconds(batch.quantile(0.5))})
	t.AppendRow([]any{"publish → sent, 99 %", milliseconds(realtime.quantile(0.99)), milliseconds(batch.quantile(0.99))})
	return t.Render() + "\n"
}

func ratePer(n int, d time.Duration) string {
	return fmt.Sprintf("%.0f", float64(n)/max(d.Seconds(), 1))
}

func milliseconds(d time.Duration) string { return fmt.Sprintf("%d ms", d.Milliseconds()) }

// summarize says how every event ended, and shows one. Its error is that some
// did not end as they should.
func (d *demo) summarize(ctx context.Context) error {
	counts := d.count()
	if err := d.env.Printf("%s\n%s\n", demoTable(d.env, counts, d.duration), d.passed(counts)); err != nil {
		return err
	}
	if err := d.showExample(); err != nil {
		return err
	}
	return d.verdict(ctx, counts)
}

// passed lists how many events went through each of the seven statuses.
func (d *demo) passed(counts map[topology.Lane]*laneCount) string {
	var b strings.Builder
	b.WriteString("Statuses that events passed through:")
	for i, s := range topology.Statuses() {
		n := 0
		for _, c := range counts {
			n += c.seen[s]
		}
		if i > 0 {
			b.WriteString(",")
		}
		fmt.Fprintf(&b, " %s %d", s, n)
	}
	scheduled := counts[topology.Realtime].now[topology.PendingDelivery] +
		counts[topology.Batch].now[topology.PendingDelivery]
	if scheduled > 0 {
		fmt.Fprintf(&b, "\nThose still pending delivery are scheduled for later, as their events ask: %d", scheduled)
	}
	return b.String()
}

// showExample shows how to read one event's status, what that says, and the
// message that was sent.
func (d *demo) showExample() error {
	message, state, ok := d.example()
	if !ok {
		return nil
	}
	return d.env.Printf(`
One event, as HGETALL %s and "meddela status" tell of it
(to ask yourself, keep a system running with "meddela up"):

%s
The message that was sent:

%s
`, d.local.Keys.Event(state.EventID), show.Text(d.env, &state), indent(messageText(&message)))
}

// example is the last e-mail that was sent, and its event's state.
func (d *demo) example() (sandbox.Message, topology.State, bool) {
	for _, m := range slices.Backward(d.local.Sandbox.Messages()) {
		e := d.events[m.EventID]
		if e != nil && m.Channel == topology.Email && e.state.Status == topology.Sent {
			return m, e.state, true
		}
	}
	return sandbox.Message{}, topology.State{}, false
}

func messageText(m *sandbox.Message) string {
	text := fmt.Sprintf("To: %s\n", m.To)
	if m.Subject != "" {
		text += fmt.Sprintf("Subject: %s\n", m.Subject)
	}
	return text + "\n" + strings.TrimSpace(m.Text+m.Body)
}

func indent(s string) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		b.WriteString("  │ " + wording.Printable(strings.TrimRight(line, "\n")) + "\n")
	}
	return b.String()
}

// verdict is nil when every event ended as it should.
func (d *demo) verdict(ctx context.Context, counts map[topology.Lane]*laneCount) error {
	total := counts[topology.Realtime].published + counts[topology.Batch].published
	astray := d.astray()
	switch {
	case len(astray) == 0:
		return d.env.Printf("%s all %d events are accounted for, each in the status that it should have\n",
			d.env.Paint(text.FgGreen, "✔"), total)
	case ctx.Err() != nil:
		return fmt.Errorf("stopped: %d of %d events were still on their way", len(astray), total)
	}
	first := d.events[astray[0]]
	return fmt.Errorf("%d of %d events are not as they should be; the first is %s: %q, and should be %q",
		len(astray), total, astray[0], first.state.Status, first.want)
}
