package receive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"
	"golang.org/x/net/http/httpguts"

	"github.com/meddela/meddela/consumer/internal/jsonpath"
	"github.com/meddela/meddela/consumer/outbound"
	"github.com/meddela/meddela/topology"
)

// Source is a provider that sends receipts, to a path that ends with its name. Where
// something is found in a receipt is said by a path: "$.a.b" in its JSON, or in the
// object that its form makes; "query:name" in the URL; "header:name". Only the first
// is of each of several receipts, the others are of all.
type Source struct {
	Provider string
	Channel  topology.Channel
	Verify   Verify
	// Each is the path of the list of receipts in a body. Default: the body, which may
	// itself be a list.
	Each string
	// Ref is where the reference is that the message had.
	Ref string
	// Address, MessageID, Code and At, a time, are optional; without its address nobody
	// is suppressed.
	Address, MessageID, Code, At string
	// Rules say what a receipt means, the first that fits.
	Rules []Rule

	ref, address, messageID, code, at place
}

// Rule says what receipts mean that have all these values.
type Rule struct {
	// When has for each path the value's text, any of several with | between them.
	When  map[string]string
	Means Meaning

	when []condition
}

type condition struct {
	at     place
	values []string
}

// received is a request and, in JSON, what it said.
type received struct {
	*http.Request
	query url.Values
	body  gjson.Result
}

// place finds a text in one of a request's receipts; nil finds none.
type place func(of *received, one gjson.Result) string

func (p place) in(of *received, one gjson.Result) string {
	if p == nil {
		return ""
	}
	return p(of, one)
}

func parsePlace(text string) (place, error) {
	kind, name, _ := strings.Cut(text, ":")
	switch {
	case text == "":
		return nil, nil
	case name == "" && (kind == "query" || kind == "header"): // what YAML makes of {query:name: value}
		return nil, fmt.Errorf(`name what it is of, and quote all of it: "%s:name"`, kind)
	case kind == "query":
		return func(of *received, _ gjson.Result) string { return of.query.Get(name) }, nil
	case kind == "header":
		if !httpguts.ValidHeaderFieldName(name) {
			return nil, errors.New("that is no name of a header")
		}
		return func(of *received, _ gjson.Result) string { return of.Header.Get(name) }, nil
	}
	at, err := jsonpath.Parse(text)
	return func(_ *received, one gjson.Result) string { return one.Get(at).String() }, err
}

// Check reads the paths, and says what is wrong.
func (s *Source) Check() (err error) {
	places := []struct {
		key, text string
		at        *place
	}{
		{"ref", s.Ref, &s.ref}, {"address", s.Address, &s.address},
		{"message_id", s.MessageID, &s.messageID}, {"code", s.Code, &s.code}, {"at", s.At, &s.at},
	}
	if _, err := jsonpath.Parse(s.Each); s.Each != "" && (err != nil || strings.Contains(s.Each, ":")) {
		return errors.New("each: a list is in the body: use a path such as $.events")
	}
	for _, p := range places {
		if *p.at, err = parsePlace(p.text); err != nil {
			return fmt.Errorf("%s: %w", p.key, err)
		}
	}
	if s.ref == nil {
		return errors.New("ref: say where a receipt has the message's reference, such as $.metadata.ref")
	}
	for i := range s.Rules {
		r := &s.Rules[i]
		r.when = nil
		for text, values := range r.When {
			at, err := parsePlace(text)
			if at == nil && err == nil {
				err = errors.New("a path is missing")
			}
			if err != nil {
				return fmt.Errorf("rules: %q: %w", text, err)
			}
			r.when = append(r.when, condition{at, strings.Split(values, "|")})
		}
	}
	return s.Verify.check()
}

func (r *Rule) fits(of *received, one gjson.Result) bool {
	for _, c := range r.when {
		value, fits := c.at(of, one), false
		for _, wanted := range c.values {
			fits = fits || strings.EqualFold(value, wanted)
		}
		if !fits {
			return false
		}
	}
	return true
}

const (
	maxBody     = 1 << 20
	maxReceipts = 10_000   // of a request
	mostReading = 64 << 20 // bytes of bodies, whosever requests they are
	mostParsed  = 4        // reports by e-mail, which may be anybody's
	mostAtOnce  = 64
	takeTime    = 10 * time.Second
)

// ServeHTTP takes a provider's receipts. It answers 200 when they are written, or say
// nothing to us: Kannel repeats after a 204; 401 to what is not the provider's; 503 when
// it is to come again.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	source := r.bySource[path.Base(request.URL.Path)]
	if source == nil {
		http.Error(w, "no provider of this name has receipts", http.StatusNotFound)
		return
	}
	if source.Verify.Scheme == Token && !source.Verify.passes(request, nil) { // which is not in the body
		r.refuse(w, source)
		return
	}
	body, done, err := r.reading.readAll(http.MaxBytesReader(w, request.Body, maxBody), func() {
		_ = http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0))
	})
	defer done()
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		http.Error(w, "the body is larger than 1 MiB", http.StatusRequestEntityTooLarge)
		return
	} else if err != nil {
		r.again(w, source)
		return
	}
	if !source.Verify.passes(request, body) {
		r.refuse(w, source)
		return
	}
	if !r.atOnce.TryAcquire(1) {
		r.again(w, source)
		return
	}
	defer r.atOnce.Release(1)
	notes, err := r.read(source, request, body)
	if err == errTooMany {
		r.count(source.Provider, Refused)
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		return
	} else if err != nil {
		r.count(source.Provider, Unknown)
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithTimeout(request.Context(), takeTime)
	defer cancel()
	if err := r.take(ctx, notes); err != nil {
		r.Log.Warn().Err(err).Str("provider", source.Provider).Int("receipts", len(notes)).
			Msg("receipts cannot be written yet; the provider is asked to come again")
		r.again(w, source)
		return
	}
	for i := range notes {
		r.count(source.Provider, string(notes[i].means))
	}
	w.WriteHeader(http.StatusOK)
}

func (r *Receiver) refuse(w http.ResponseWriter, source *Source) {
	r.count(source.Provider, Refused)
	http.Error(w, "this is not signed by "+source.Provider, http.StatusUnauthorized)
}

func (r *Receiver) again(w http.ResponseWriter, source *Source) {
	r.count(source.Provider, Deferred)
	w.Header().Set("Retry-After", "10")
	http.Error(w, "come again", http.StatusServiceUnavailable)
}

var errTooMany = fmt.Errorf("the body has more than %d receipts: send fewer in a request", maxReceipts)

// read are the receipts of a request that are about messages of ours.
func (r *Receiver) read(s *Source, request *http.Request, body []byte) (notes []note, err error) {
	of := &received{Request: request, query: request.URL.Query()}
	if of.body, err = parseBody(request.Header.Get("Content-Type"), body); err != nil {
		return nil, err
	}
	all := of.body
	if s.Each != "" {
		at, _ := jsonpath.Parse(s.Each) // which Check has read
		all = all.Get(at)
	}
	if all.IsArray() && all.Get("#").Int() > maxReceipts {
		return nil, errTooMany
	}
	now := time.Now()
	each := func(_, one gjson.Result) bool {
		text, _, _ := strings.Cut(s.ref.in(of, one), "@") // or the address that an e-mail was sent from
		ref, ok := r.Key.Open(text)
		if !ok {
			r.count(s.Provider, Unknown)
			r.tell(s.Provider, "they have no reference of ours in "+s.Ref+" (ref)")
			return true
		}
		n := note{
			ref: ref, provider: s.Provider, channel: s.Channel, address: s.address.in(of, one),
			messageID: s.messageID.in(of, one), code: cleanCode(s.code.in(of, one)),
			at: plausible(parseTime(s.at.in(of, one)), now),
		}
		if len(n.messageID) > maxMessageID || n.address != "" && strings.Contains(n.messageID, n.address) {
			n.messageID = ""
		}
		for i := range s.Rules {
			if s.Rules[i].fits(of, one) {
				n.means = s.Rules[i].Means
				break
			}
		}
		if n.means == "" {
			r.count(s.Provider, Unknown)
			r.tell(s.Provider, "no rule fits them")
			return true
		}
		notes = append(notes, n)
		return true
	}
	if all.IsArray() {
		all.ForEach(each)
	} else {
		each(gjson.Result{}, all)
	}
	return notes, nil
}

const maxMessageID = 256

// parseBody reads JSON, or a form as an object of texts. A request without a body has
// all in its query.
func parseBody(contentType string, body []byte) (gjson.Result, error) {
	kind, _, _ := mime.ParseMediaType(contentType)
	switch {
	case len(body) == 0:
		return gjson.Parse("{}"), nil
	case kind == "application/x-www-form-urlencoded":
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return gjson.Result{}, errors.New("the form cannot be read")
		}
		texts := make(map[string]string, len(form))
		for name := range form {
			texts[name] = form.Get(name)
		}
		body, _ = json.Marshal(texts) // texts always can be
	case topology.CheckJSON(body) != nil:
		return gjson.Result{}, errors.New("the body is neither JSON nor a form")
	}
	return gjson.ParseBytes(body), nil
}

// parseTime reads seconds or milliseconds since 1970, or what outbound.ParseTime reads; the zero time of what is none.
func parseTime(text string) time.Time {
	if number, err := strconv.ParseFloat(text, 64); err == nil {
		if number > 1e11 {
			number /= 1000
		}
		return time.UnixMilli(int64(number * 1000))
	}
	at, _ := outbound.ParseTime(text)
	return at
}
