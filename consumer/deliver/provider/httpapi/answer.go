package httpapi

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tidwall/gjson"
	"golang.org/x/net/http/httpguts"
	utf16 "golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/internal/jsonpath"
	"github.com/meddela/meddela/consumer/outbound"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

// answer is an outbound.Response with what rules ask of it.
type answer struct {
	*outbound.Response
	text   string // of the body, if all of it is there
	isJSON bool
}

func newAnswer(of *outbound.Response) *answer {
	a := &answer{Response: of}
	if of.Fault == "" {
		body, _, _ := transform.Bytes(utf16.BOMOverride(transform.Nop), of.Body) // which says what it is
		body = bytes.TrimSpace(body)
		a.text, a.isJSON = string(body), topology.CheckJSON(body) == nil
	}
	return a
}

// texts are those of a value, or of each member of a list, but for null.
func texts(all []string, value gjson.Result) []string {
	switch {
	case value.IsArray():
		for _, each := range value.Array() {
			all = texts(all, each)
		}
	case value.Type != gjson.Null:
		all = append(all, value.String(), value.Raw)
	}
	return all
}

// first is the first text that is found, empty if none is.
func (a *answer) first(find finder) string {
	if find != nil {
		for _, text := range find(a) {
			return text
		}
	}
	return ""
}

// meaning is what an answer says of the message, and whether it refuses the credentials. The
// answer's own words are left out: they often have the address.
func (p *Provider) meaning(got *outbound.Response, host string, m *template.Message) (provider.Response, bool) {
	a := newAnswer(got)
	response, rule := p.verdict(a)
	id := a.first(p.messageID)
	if rule == nil && response.Verdict == provider.Accepted && p.config.MessageID != "" && id == "" {
		response = provider.Response{Verdict: provider.Unknown, Detail: ", without " + p.config.MessageID}
	}
	switch response.Verdict {
	case provider.Accepted:
		return provider.Response{Verdict: provider.Accepted, MessageID: clean(id, m)}, false
	case provider.Failed, provider.Down:
		if rule != nil {
			response.RetryAfter = outbound.Wait(a.first(rule.wait), time.Now())
		}
		response.RetryAfter = cmp.Or(response.RetryAfter, outbound.RetryAfter(a.Header, time.Now()))
	}
	// A provider that answers is there. What it says is about the message unless it says that it is at fault itself, or a
	// rule does, or nobody is let in. One may be barred from writing to some recipients only.
	response.OfMessage = p.target == nil || a.Status < 500 && (response.Verdict != provider.Down ||
		rule == nil && a.Status == http.StatusForbidden)
	response.Detail = host + " answered " + strconv.Itoa(a.Status) + response.Detail
	return response, rule != nil && rule.Unauthorized || rule == nil && a.Status == http.StatusUnauthorized
}

// verdict is that of the first rule that fits, or else the usual one. Where what a rule asks
// of a body cannot be read, it is not known what a 2xx means.
func (p *Provider) verdict(a *answer) (provider.Response, *Rule) {
	response, unread := provider.Response{Verdict: usual(a.Status, p.config.Idempotent, p.target != nil)}, ""
	for i := range p.config.Rules {
		r := &p.config.Rules[i]
		if a.Status < r.least || a.Status > r.most {
			continue
		}
		if detail, fits := r.fits(a); fits {
			return provider.Response{Verdict: r.Verdict, Reason: r.Reason, Detail: detail}, r
		}
		if a.Fault != "" && r.readsBody {
			unread = ", and " + a.Fault
			break
		}
		if a.text != "" && !a.isJSON && len(r.JSON) > 0 {
			unread = ", and its body is no JSON, as the rules for answers expect" // a later one may be about its text
		}
	}
	if response.Verdict == provider.Accepted && unread != "" {
		response = provider.Response{Verdict: provider.Unknown, Detail: unread}
	}
	return response, nil
}

// clean is a message id as the delivery log may have it: without the address, which some providers put into it.
func clean(id string, m *template.Message) string {
	if len(id) > 256 || !utf8.ValidString(id) || strings.ContainsFunc(id, unicode.IsControl) ||
		hasAddress(id, m.To) {
		return ""
	}
	return id
}

var noDigit = regexp.MustCompile(`[^0-9]`)

// leastEncoded is how long an address is at least that is looked for in other writings too.
const leastEncoded = 6

// oneAlphabet is for texts in base64, which has two.
var oneAlphabet = strings.NewReplacer("-", "+", "_", "/")

// hasAddress reports whether an address is in a text: as it is, a number's digits alone, percent-encoded, in
// hexadecimal or in base64.
func hasAddress(text, to string) bool {
	if to == "" {
		return false
	}
	forms := []string{strings.ToLower(to), to}
	digits := noDigit.ReplaceAllString(to, "")
	if len(digits) >= leastEncoded && !strings.ContainsFunc(to, unicode.IsLetter) {
		forms = append(forms, digits)
	}
	lower, plain := strings.ToLower(text), strings.ToLower(text)
	if unescaped, err := url.QueryUnescape(text); err == nil {
		plain = strings.ToLower(unescaped)
	}
	text = oneAlphabet.Replace(text)
	for _, form := range slices.Compact(forms) {
		if strings.Contains(lower, form) || strings.Contains(plain, form) {
			return true
		}
		if len(form) < leastEncoded {
			continue
		}
		if strings.Contains(lower, hex.EncodeToString([]byte(form))) {
			return true
		}
		for before, other := range []int{0, 2, 3} { // bytes in the same group, and characters that they have a part of
			all := base64.StdEncoding.EncodeToString(append(make([]byte, before), form...))
			if strings.Contains(text, all[other:(before+len(form))*8/6]) {
				return true
			}
		}
	}
	return false
}

// unanswered is what it means that there is no answer.
func (p *Provider) unanswered(failed *outbound.Error) provider.Response {
	r := provider.Response{Verdict: provider.Unknown, Detail: failed.Error(), OfMessage: p.target == nil}
	switch failed.Kind {
	case outbound.Blocked, outbound.Unresolved, outbound.Unreachable, outbound.Insecure:
		r.Verdict = provider.Down
		if failed.Kind == outbound.Blocked && p.target == nil {
			r.Verdict = provider.Rejected // the template's fault, and not the provider's
		}
	case outbound.Expired:
		r.Verdict = provider.Expired
	case outbound.Broken:
		r.Verdict = provider.Failed
	}
	return r
}

// Rule says what an answer means that has the status and fits every condition.
type Rule struct {
	// Status: "429", "4xx", "500-599"; empty for any.
	Status string
	// JSON has the paths of values, such as $.error.code, and the texts of which a value must
	// be one; without texts any value but null fits. Of a list each member counts.
	JSON map[string][]string
	// Text is a regular expression (RE2) for the whole body, without the blanks around it.
	Text string
	// Headers have regular expressions for the whole value of headers, by name.
	Headers map[string]string
	// Verdict: Accepted, Skipped, Rejected, Failed, Down or Unknown.
	Verdict provider.Verdict
	// Unauthorized says of Down that the credentials are refused, so that it is asked once more
	// if there are others by then.
	Unauthorized bool
	// Reason of Skipped: ReasonInvalidAddress (the default) or ReasonSuppressed.
	Reason topology.Reason
	// RetryAfter is where an answer says how long to wait, with Failed and Down: a path, or "header:" and a name. Default
	// the header Retry-After.
	RetryAfter string

	least, most int // of Status
	conditions  []condition
	readsBody   bool
	wait        finder
}

// condition is one that an answer fits if a text that is found there is one of several, or has a form, or is there.
type condition struct {
	name  string
	find  finder
	texts []string
	form  *regexp.Regexp
}

// read checks a rule, and keeps what is read of it.
func (r *Rule) read() (err error) {
	if r.least, r.most, err = parseStatus(r.Status); err != nil {
		return err
	}
	add := func(name, at, form string, texts []string) {
		c := condition{name: name, texts: texts}
		find, wrong := locate(at)
		if c.find = find; form != "" && wrong == nil {
			c.name += " is " + form
			if _, wrong = regexp.Compile(form); wrong == nil {
				c.form, wrong = regexp.Compile(`(?s)^(?:` + form + `)$`)
			}
		}
		if wrong != nil {
			err = cmp.Or(err, fmt.Errorf("%s: %w", name, wrong))
		}
		r.conditions = append(r.conditions, c)
	}
	for _, path := range slices.Sorted(maps.Keys(r.JSON)) {
		add(path, path, "", r.JSON[path])
	}
	if r.Text != "" {
		add("its text", wholeText, r.Text, nil)
	}
	r.readsBody = len(r.conditions) > 0
	for _, name := range slices.Sorted(maps.Keys(r.Headers)) {
		add(name, inHeader+name, r.Headers[name], nil)
	}
	if r.RetryAfter != "" {
		var wrong error
		if r.wait, wrong = locate(r.RetryAfter); wrong != nil {
			err = cmp.Or(err, fmt.Errorf("retry after: %w", wrong))
		}
	}
	switch {
	case err != nil:
		return err
	case r.Status == "" && len(r.conditions) == 0:
		return errors.New("it would fit every answer: give it a status, a path, a text or a header")
	case r.Verdict == provider.Expired || r.Verdict == provider.Throttled:
		return errors.New("answers do not have that verdict")
	case r.wait != nil && r.Verdict != provider.Failed && r.Verdict != provider.Down:
		return errors.New("only what failed, or is down, is asked again after a wait")
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

// fits reports whether an answer fits every condition but the status, and tells them.
func (r *Rule) fits(a *answer) (detail string, fits bool) {
	for i := range r.conditions {
		c := &r.conditions[i]
		found := c.find(a)
		at := slices.IndexFunc(found, func(text string) bool {
			return c.form != nil && c.form.MatchString(text) || c.form == nil && len(c.texts) == 0 ||
				slices.Contains(c.texts, text)
		})
		switch {
		case at < 0:
			return "", false
		case len(c.texts) > 0:
			detail += ", and " + c.name + " is " + found[at]
		case c.form != nil:
			detail += ", and " + c.name
		default:
			detail += ", and has " + c.name
		}
	}
	return detail, true
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

// usual is what a status means where no rule says it. Not to be let in is the configuration's fault, and not the
// message's, as it is where its own URL is another's by now, or is asked by another method, or has to be paid for. A
// gateway that waited in vain does not know what became of the request, and a provider whose key conflicts is at the
// first request that had it. One that answers for several parts (207) says of each in the body.
func usual(status int, idempotent, own bool) provider.Verdict {
	switch class := status / 100; {
	case class == 2 && status != http.StatusMultiStatus:
		return provider.Accepted
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusProxyAuthRequired,
		own && (class == 3 || status == http.StatusPaymentRequired || status == http.StatusMethodNotAllowed):
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

// finder finds texts in an answer: none if they are not there, as with a body that is not complete.
type finder func(*answer) []string

const inHeader, wholeText = "header:", "text:" // in place of a path

func locate(at string) (finder, error) {
	if name, ok := strings.CutPrefix(at, inHeader); ok {
		if !httpguts.ValidHeaderFieldName(name) {
			return nil, errors.New("that is no name of a header")
		}
		return func(a *answer) []string { return a.Header.Values(name) }, nil
	}
	if at == wholeText {
		return func(a *answer) []string { return []string{a.text} }, nil
	}
	path, err := jsonpath.Parse(at)
	return func(a *answer) []string {
		if !a.isJSON {
			return nil
		}
		return texts(nil, gjson.Get(a.text, path))
	}, err
}
