package httpapi

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tidwall/gjson"
	"golang.org/x/net/http/httpguts"

	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/outbound"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

// meaning is what an answer says of the message. The answer's own words are left
// out: they often have the address.
func (p *Provider) meaning(a *outbound.Response, host string, m *template.Message) provider.Response {
	response := p.verdict(a)
	switch response.Verdict {
	case provider.Accepted:
		return provider.Response{Verdict: provider.Accepted, MessageID: clean(p.messageID(a), m)}
	case provider.Failed, provider.Down:
		response.RetryAfter = outbound.RetryAfter(a.Header, time.Now())
	}
	response.Detail = host + " answered " + strconv.Itoa(a.Status) + response.Detail
	return response
}

func (p *Provider) verdict(a *outbound.Response) provider.Response {
	for i := range p.config.Rules {
		r := &p.config.Rules[i]
		switch {
		case a.Status < r.least || a.Status > r.most:
		case r.path != "" && a.Partial:
			if a.Status/100 == 2 {
				return provider.Response{Verdict: provider.Unknown, Detail: ", and its body is too long, or broke off"}
			}
		case r.path == "" || r.isAbout(a.Body):
			return provider.Response{Verdict: r.Verdict, Reason: r.Reason, Detail: r.detail}
		}
	}
	return provider.Response{Verdict: usual(a.Status, p.config.Idempotent)}
}

// clean is a message id as the delivery log may have it: without the address,
// which some providers put into it.
func clean(id string, m *template.Message) string {
	if len(id) > 256 || !utf8.ValidString(id) || strings.ContainsFunc(id, unicode.IsControl) ||
		hasAddress(id, m.To) {
		return ""
	}
	return id
}

var noDigit = regexp.MustCompile(`[^0-9]`)

func hasAddress(id, to string) bool {
	if to == "" {
		return false
	}
	lower := strings.ToLower(id)
	if strings.Contains(lower, strings.ToLower(to)) {
		return true
	}
	digits := noDigit.ReplaceAllString(to, "")
	isPhone := len(digits) >= 6 && !strings.ContainsFunc(to, unicode.IsLetter)
	return isPhone && strings.Contains(lower, digits)
}

// unanswered is what it means that there is no answer.
func (p *Provider) unanswered(kind outbound.Kind) provider.Verdict {
	if kind == outbound.Blocked && p.target == nil {
		return provider.Rejected // the template's fault, and not the provider's
	}
	switch kind {
	case outbound.Blocked, outbound.Unresolved, outbound.Unreachable, outbound.Insecure:
		return provider.Down
	case outbound.Expired:
		return provider.Expired
	case outbound.Broken:
		return provider.Failed
	}
	return provider.Unknown
}

// Rule says what an answer means that has both the status and the value.
type Rule struct {
	// Status: "429", "4xx", "500-599"; empty for any.
	Status string
	// JSON is the path of a value, such as $.error.code; empty for none.
	JSON string
	// Equals is the value's text; empty for any value but null.
	Equals string
	// Verdict: Accepted, Skipped, Rejected, Failed, Down or Unknown.
	Verdict provider.Verdict
	// Reason of Skipped: ReasonInvalidAddress (the default) or
	// ReasonSuppressed.
	Reason topology.Reason

	least, most int    // of Status
	path        string // gjson's; empty for none
	detail      string // of the value
}

// read checks a rule, and keeps what is read of it.
func (r *Rule) read() (err error) {
	if r.least, r.most, err = parseStatus(r.Status); err != nil {
		return err
	}
	if r.JSON != "" {
		if r.path, err = gjsonPath(r.JSON); err != nil {
			return err
		}
		r.detail = ", and has " + r.JSON
		if r.Equals != "" {
			r.detail = ", and " + r.JSON + " is " + r.Equals
		}
	}
	switch {
	case r.Status == "" && r.JSON == "":
		return errors.New("it would fit every answer: give it a status or a path")
	case r.Equals != "" && r.JSON == "":
		return errors.New("it has a value to be equal to, and no path of it")
	case r.Verdict == provider.Expired || r.Verdict == provider.Throttled:
		return errors.New("answers do not have that verdict")
	case r.Verdict != provider.Skipped && r.Reason != topology.NoReason:
		return errors.New("only skipped has a reason")
	case r.Verdict == provider.Skipped:
		r.Reason = cmp.Or(r.Reason, topology.ReasonInvalidAddress)
		if r.Reason != topology.ReasonInvalidAddress && r.Reason != topology.ReasonSuppressed {
			return errors.New("the reason of skipped must be invalid_address or suppressed")
		}
	}
	return nil
}

const anyStatus = 999

func parseStatus(text string) (least, most int, err error) {
	if text == "" {
		return 0, anyStatus, nil
	}
	first, last, ranged := strings.Cut(text, "-")
	if class, ok := strings.CutSuffix(text, "xx"); ok && "1" <= class && class <= "5" {
		first, last = class+"00", class+"99"
	} else if !ranged {
		last = first
	}
	least, err = strconv.Atoi(first)
	most, err2 := strconv.Atoi(last)
	if err != nil || err2 != nil || least < 100 || most > anyStatus || least > most {
		return 0, 0, fmt.Errorf("status %q: use one (429), a class (4xx) or a range (500-599)", text)
	}
	return least, most, nil
}

// isAbout reports whether a body has the rule's value.
func (r *Rule) isAbout(body []byte) bool {
	if topology.CheckJSON(body) != nil {
		return false
	}
	value := gjson.GetBytes(body, r.path)
	return value.Type != gjson.Null && (r.Equals == "" || value.String() == r.Equals || value.Raw == r.Equals)
}

// usual is what a status means where no rule says it. Not to be let in is the
// configuration's fault, and not the message's. A gateway that waited in vain
// does not know what became of the request, and a provider whose key conflicts
// is at the first request that had it.
func usual(status int, idempotent bool) provider.Verdict {
	switch class := status / 100; {
	case class == 2:
		return provider.Accepted
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusProxyAuthRequired:
		return provider.Down
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status == http.StatusTooManyRequests:
		return provider.Failed
	case status == http.StatusGatewayTimeout, status == http.StatusConflict && idempotent:
		return provider.Unknown
	case class == 3, class == 4:
		return provider.Rejected
	case class == 5:
		return provider.Failed
	}
	return provider.Unknown
}

var errPathSyntax = errors.New("use a path such as $.messages[0].id")

// pathStep is .name, [0] or ['name'].
var pathStep = regexp.MustCompile(`(?s)^(?:\.([^].['"]+)|\[(\d+)]|\['(.+?)']|\["(.+?)"])`)

// gjsonPath translates the paths of configuration, $.a[0]['b c'], whose $ may be
// missing, to those of gjson.
func gjsonPath(text string) (string, error) {
	rest, ok := strings.CutPrefix(text, "$")
	if !ok && !strings.HasPrefix(rest, "[") {
		rest = "." + rest
	}
	var steps []string
	for rest != "" {
		step := pathStep.FindStringSubmatch(rest)
		if step == nil {
			return "", errPathSyntax
		}
		rest = rest[len(step[0]):]
		steps = append(steps, gjson.Escape(strings.Join(step[1:], "")))
	}
	if len(steps) == 0 || !utf8.ValidString(text) {
		return "", errPathSyntax
	}
	return strings.Join(steps, "."), nil
}

// locate returns what finds a value in an answer: empty if it is not there, as with
// a body that is not complete.
func locate(text string) (func(*outbound.Response) string, error) {
	if name, ok := strings.CutPrefix(text, "header:"); ok {
		if !httpguts.ValidHeaderFieldName(name) {
			return nil, errors.New("that is no name of a header")
		}
		return func(a *outbound.Response) string { return a.Header.Get(name) }, nil
	}
	path, err := gjsonPath(text)
	return func(a *outbound.Response) string {
		if a.Partial || topology.CheckJSON(a.Body) != nil {
			return ""
		}
		return gjson.GetBytes(a.Body, path).String()
	}, err
}
