package difflog

import (
	"html"
	"net/url"
	"regexp"
	"strings"

	"github.com/meddela/meddela/topology"
)

// mask stands where the recipient's address was.
const mask = "RECIPIENT"

// differences are the parts that differ, with the recipient's address masked.
// An address that the template was given is replaced before it is rendered, so
// that it is masked whatever the template does with it; one that stands in the
// event's data as well is looked for in the text.
func (c *Comparison) differences(event *topology.Event, live, proposed *outcome) []differingPart {
	stranger := *event
	if stranger.To != "" {
		stranger.To = mask
	}
	l, p := outcome{decision: live.decision}, outcome{decision: proposed.decision}
	l.render(&stranger, c.live)
	p.render(&stranger, c.proposed)
	differing := differingParts(&l, &p)
	address := addressPattern(event.To)
	if address == nil {
		return differing
	}
	for i := range differing {
		d := &differing[i]
		d.live, d.proposed = address.ReplaceAllLiteralString(d.live, mask), address.ReplaceAllLiteralString(d.proposed, mask)
	}
	return differing
}

// addressPattern finds an address in the forms that escaping gives it; nil
// when there is no address.
func addressPattern(to string) *regexp.Regexp {
	if to == "" {
		return nil
	}
	forms := []string{
		to, html.EscapeString(to), strings.ReplaceAll(html.EscapeString(to), "+", "&#43;"),
		strings.ReplaceAll(to, "+", `\u002b`), url.QueryEscape(to), url.PathEscape(to),
	}
	for i, form := range forms {
		forms[i] = regexp.QuoteMeta(form)
	}
	return regexp.MustCompile("(?i)" + strings.Join(forms, "|"))
}
