package up

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/show"
	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/topology"
)

// draw draws the counts over themselves, on a terminal.
func (d *demo) draw(elapsed time.Duration) {
	if !command.IsTerminal(d.env.Out) || os.Getenv("TERM") == "dumb" {
		return
	}
	table := demoTable(d.env, d.count(), elapsed)
	d.clear()
	d.drawn = strings.Count(table, "\n")
	_ = d.env.Printf("%s", table)
}

func (d *demo) clear() {
	if d.drawn > 0 {
		_ = d.env.Printf("\x1b[%dA\x1b[J", d.drawn)
		d.drawn = 0
	}
}

// demoTable has a row for each status, a column for each lane.
func demoTable(env *command.Env, counts map[topology.Lane]*laneCount, elapsed time.Duration) string {
	t := command.NewTable("status", "realtime", "batch")
	realtime, batch := counts[topology.Realtime], counts[topology.Batch]
	rate := func(c *laneCount) string { return fmt.Sprintf("%.0f", command.PerSecond(c.published, elapsed)) }
	for _, s := range topology.Statuses() {
		t.AppendRow([]any{command.Painted(env.Paint(show.Colour(s), "● ") + s.Label()), realtime.now[s], batch.now[s]})
	}
	t.AppendRow([]any{"", "", ""})
	t.AppendRow([]any{"published", realtime.published, batch.published})
	t.AppendRow([]any{"events per second", rate(realtime), rate(batch)})
	t.AppendRow([]any{"publish → sent, median", milliseconds(realtime.quantile(0.5)), milliseconds(batch.quantile(0.5))})
	t.AppendRow([]any{"publish → sent, 99 %", milliseconds(realtime.quantile(0.99)), milliseconds(batch.quantile(0.99))})
	return t.Render() + "\n"
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

// showExample shows how to read the status of the event of the last e-mail, what that
// says, and the message that was sent.
func (d *demo) showExample() error {
	for _, m := range slices.Backward(d.Sandbox.Messages()) {
		e := d.events[m.EventID]
		if e == nil || m.Channel != topology.Email || e.state.Status != topology.Sent {
			continue
		}
		message := fmt.Sprintf("To: %s\nSubject: %s\n\n%s", m.To, m.Subject, strings.TrimSpace(m.Text+m.Body))
		return d.env.Printf(`
One event, as HGETALL %s and "%[2]s status" tell of it
(to ask yourself, keep a system running with "%[2]s up"):

%[3]s
The message that was sent:

  │ %[4]s

`, d.Keys.Event(m.EventID), command.Called(), show.Text(d.env, &e.state),
			strings.ReplaceAll(wording.PrintableLines(message), "\n", "\n  │ "))
	}
	return nil
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
