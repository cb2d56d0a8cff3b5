package difflog

import (
	"fmt"
	"html"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/aymanbagabas/go-udiff"

	"github.com/meddela/meddela/cmd/meddela/internal/authoring"
	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

// URLPart is the name under which a webhook's target is compared.
const URLPart = "url"

type differingPart struct{ name, live, proposed string }

// differingParts compares what was rendered; nothing differs where one side was not.
func differingParts(live, proposed *outcome) []differingPart {
	channel := proposed.message.Channel
	if live.message.Channel != channel {
		return nil
	}
	var differing []differingPart
	l, p := authoring.Texts(&live.message), authoring.Texts(&proposed.message)
	if channel == topology.Webhook {
		l[URLPart], p[URLPart] = live.message.To, proposed.message.To
	}
	for _, name := range append(template.Parts(channel), URLPart) {
		if l[name] != p[name] {
			differing = append(differing, differingPart{name, l[name], p[name]})
		}
	}
	return differing
}

const mask = "RECIPIENT"

// masked are the parts that differ, without the recipient's address. It is replaced before
// rendering, whatever the template does with it, and looked for in the text, too.
func (c *Comparison) masked(event *topology.Event, live, proposed *outcome) []differingPart {
	masked := *event
	if masked.To != "" {
		masked.To = mask
	}
	l, p := outcome{Side: live.Side}, outcome{Side: proposed.Side}
	l.render(&masked, c.Live)
	p.render(&masked, c.Proposed)
	differing := differingParts(&l, &p)
	if event.To == "" {
		return differing
	}
	address := addressPattern(event.To)
	for i := range differing {
		d := &differing[i]
		d.live, d.proposed = address.ReplaceAllLiteralString(d.live, mask), address.ReplaceAllLiteralString(d.proposed, mask)
	}
	return differing
}

// addressPattern finds an address in the forms that escaping gives it.
func addressPattern(to string) *regexp.Regexp {
	forms := []string{
		to, html.EscapeString(to), strings.ReplaceAll(html.EscapeString(to), "+", "&#43;"),
		strings.ReplaceAll(to, "+", `\u002b`), url.QueryEscape(to), url.PathEscape(to),
	}
	for i, form := range forms {
		forms[i] = regexp.QuoteMeta(form)
	}
	return regexp.MustCompile("(?i)" + strings.Join(forms, "|"))
}

// where names the lines of the live text that differ.
func where(live, proposed string) string {
	switch {
	case live == "":
		return "not there before"
	case proposed == "":
		return "not there any more"
	}
	unified, ok := authoring.Hunks(live, proposed, 0)
	if !ok {
		return "too large to compare line by line"
	}
	var positions []string
	for _, h := range unified.Hunks {
		gone := 0
		for _, l := range h.Lines {
			if l.Kind == udiff.Delete {
				gone++
			}
		}
		switch gone {
		case 0:
			positions = append(positions, fmt.Sprintf("after %d", h.FromLine-1))
		case 1:
			positions = append(positions, fmt.Sprint(h.FromLine))
		default:
			positions = append(positions, fmt.Sprintf("%d-%d", h.FromLine, h.FromLine+gone-1))
		}
	}
	return "line " + strings.Join(wording.Most(8, positions), ", ")
}

// shortDiff is the difference of two texts, bounded and safe to print; nil when they are too large.
func shortDiff(live, proposed string) []string {
	const context, most, mostChars = 1, 24, 160
	lines, _ := authoring.Unified(live, proposed, context)
	lines = wording.Most(most, slices.DeleteFunc(lines, func(line string) bool {
		return strings.HasPrefix(line, `\ No newline`)
	}))
	for i, line := range lines {
		lines[i] = wording.PrintableLines(wording.Shortened(strings.TrimRight(line, "\r"), mostChars))
	}
	return lines
}
