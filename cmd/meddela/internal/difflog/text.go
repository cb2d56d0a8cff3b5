package difflog

import (
	"fmt"
	"strings"

	"github.com/aymanbagabas/go-udiff"

	"github.com/meddela/meddela/cmd/meddela/internal/authoring"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

// URLPart is the name under which a webhook's target is compared.
const URLPart = "url"

// partText is one part of a message.
type partText struct{ name, text string }

// parts lists the parts that a message on the channel may have, which are the
// same for any two.
func parts(channel topology.Channel, m *template.Message) []partText {
	switch channel {
	case topology.Email:
		return []partText{
			{template.EmailSubject, m.Subject}, {template.EmailText, m.Text}, {template.EmailHTML, m.HTML},
			{template.EmailUnsubscribe, m.Unsubscribe.Lines()}, {template.EmailAttachments, template.AttachmentLines(m.Attachments)},
		}
	case topology.SMS:
		return []partText{{template.SMSText, m.Text}}
	case topology.Push:
		return []partText{{template.PushJSON, string(m.Body)}}
	case topology.Webhook:
		return []partText{{template.WebhookJSON, string(m.Body)}, {URLPart, m.To}}
	}
	return nil
}

// differingPart is a part whose text is not the same.
type differingPart struct{ name, live, proposed string }

// differingParts compares what was rendered. Nothing differs where one side was
// not.
func differingParts(live, proposed *outcome) []differingPart {
	channel := proposed.message.Channel
	if live.message.Channel != channel {
		return nil
	}
	var differing []differingPart
	l, p := parts(channel, &live.message), parts(channel, &proposed.message)
	for i := range l {
		if l[i].text != p[i].text {
			differing = append(differing, differingPart{l[i].name, l[i].text, p[i].text})
		}
	}
	return differing
}

const (
	// maxDiffBytes is the greatest text that is compared line by line.
	maxDiffBytes = 256 << 10
	// maxDiffLines and maxLineChars bound what is shown of one part.
	maxDiffLines = 24
	maxLineChars = 160
	// contextLines is how many lines around a change are shown.
	contextLines = 1
)

// part says where a part differs.
func (p differingPart) part() Part {
	if len(p.live) > maxDiffBytes || len(p.proposed) > maxDiffBytes {
		return Part{Name: p.name, Where: "too large to compare line by line"}
	}
	return Part{Name: p.name, Where: where(p.live, p.proposed)}
}

// where names the lines of the live text that differ.
func where(live, proposed string) string {
	switch {
	case live == "":
		return "not there before"
	case proposed == "":
		return "not there any more"
	}
	unified, err := udiff.ToUnifiedDiff("", "", live, udiff.Lines(live, proposed), 0)
	if err != nil {
		return ""
	}
	var places []string
	for _, h := range unified.Hunks {
		if len(places) == maxPlaces {
			places = append(places, "…")
			break
		}
		gone := 0
		for _, l := range h.Lines {
			if l.Kind == udiff.Delete {
				gone++
			}
		}
		switch gone {
		case 0:
			places = append(places, fmt.Sprintf("after %d", h.FromLine-1))
		case 1:
			places = append(places, fmt.Sprint(h.FromLine))
		default:
			places = append(places, fmt.Sprintf("%d-%d", h.FromLine, h.FromLine+gone-1))
		}
	}
	return "line " + strings.Join(places, ", ")
}

// maxPlaces is how many places in one part are named.
const maxPlaces = 8

// shortDiff is the difference of two texts in the unified form, bounded, and
// safe to print.
func shortDiff(live, proposed string) []string {
	if len(live) > maxDiffBytes || len(proposed) > maxDiffBytes {
		return nil
	}
	text, err := udiff.ToUnified("live", "proposed", live, udiff.Lines(live, proposed), contextLines)
	if err != nil {
		return nil
	}
	var lines []string
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if strings.HasPrefix(line, "--- live") || strings.HasPrefix(line, "+++ proposed") || strings.HasPrefix(line, `\ No newline`) {
			continue
		}
		if len(lines) == maxDiffLines {
			return append(lines, "…")
		}
		lines = append(lines, authoring.Printable(line, maxLineChars))
	}
	return lines
}
