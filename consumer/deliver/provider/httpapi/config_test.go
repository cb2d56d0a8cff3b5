package httpapi

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tidwall/gjson"

	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/internal/jsonpath"
	"github.com/meddela/meddela/consumer/outbound"
	"github.com/meddela/meddela/consumer/outbound/token"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

func TestNewRefuses(t *testing.T) {
	const api = "https://api.example.com/v1"
	header := func(name, value string) map[string]string { return map[string]string{name: value} }
	rule := func(r Rule) Config { return Config{URL: api, Rules: []Rule{r}} }
	key, one := outbound.Fixed("SECRET"), outbound.Fixed(key1)
	by := func(host string, secret outbound.Secret) map[string][]outbound.Secret {
		return map[string][]outbound.Secret{host: {secret}}
	}
	for name, c := range map[string]struct {
		config Config
		want   string
	}{
		"method":                  {Config{URL: api, Method: "BREW"}, "method: use"},
		"negative timeout":        {Config{URL: api, Timeout: -1}, "greater than 0"},
		"negative concurrency":    {Config{URL: api, Concurrency: -1}, "greater than 0"},
		"GET with a body":         {Config{URL: api, Method: "GET", Body: "x"}, "a GET has none"},
		"no scheme":               {Config{URL: "api.example.com"}, "url: scheme, host and port must be literal"},
		"another scheme":          {Config{URL: "ftp://a.example"}, "url: must begin with"},
		"a host of the message":   {Config{URL: "https://{{.To}}/x"}, "must be literal"},
		"a host's end":            {Config{URL: "https://api.example.com{{.To}}/x"}, "must be literal"},
		"a port of the message":   {Config{URL: "https://api.example.com:{{.To}}"}, "must be literal"},
		"a scheme of the message": {Config{URL: "{{.To}}://api.example.com"}, "must be literal"},
		"credentials in the URL":  {Config{URL: "https://u:SECRET@api.example.com"}, "must not have credentials"},
		"a fragment":              {Config{URL: api + "#x"}, "fragment"},
		"a fragment at once":      {Config{URL: "https://api.example.com#x"}, "fragment"},
		"a fragment in template":  {Config{URL: api + "/{{.To}}#x"}, "url: "},
		"a space in the path":     {Config{URL: api + "/a b{{.To}}"}, "url: "},
		"dots in the path":        {Config{URL: api + "/../{{.To}}"}, "url: "},
		"a field that is not":     {Config{URL: api + "/{{.Phone}}"}, "url: "},
		"a URL not closed":        {Config{URL: api + "/{{.To"}, "url: "},
		"header's name":           {Config{URL: api, Headers: header("X Y", "1")}, "no name of a header"},
		"header's value":          {Config{URL: api, Headers: header("X-Y", "a\nb")}, "control characters"},
		"header's template":       {Config{URL: api, Headers: header("X-Y", "{{.Nope}}")}, "headers: X-Y: "},
		"host header":             {Config{URL: api, Headers: header("host", "x")}, "Host cannot be set"},
		"length header":           {Config{URL: api, Headers: header("content-length", "1")}, "cannot be set"},
		"authorization header":    {Config{URL: api, Headers: header("authorization", "SECRET")}, "use auth"},
		"signature header":        {Config{URL: api, Headers: header("webhook-signature", "x")}, "cannot be set"},
		"header twice":            {Config{URL: api, Headers: map[string]string{"x-a": "1", "X-A": "2"}}, "set twice"},
		"key header twice":        {Config{URL: api, Headers: header("idempotency-key", "1")}, "set twice"},
		"content type of message": {Config{URL: api, Headers: header("Content-Type", "{{.Text}}")}, "must be literal"},
		"no content type":         {Config{URL: api, Headers: header("Content-Type", ";")}, "content type"},
		"a key header that isn't": {Config{URL: api, IdempotencyHeader: "a b"}, "cannot be it"},
		"body not JSON":           {Config{URL: api, Body: "{"}, "body: is not valid JSON"},
		"body with bare text":     {Config{URL: api, Body: `{"text":"{{.Text}}"}`}, "write values as {{json .Text}}"},
		"body with quoted JSON":   {Config{URL: api, Body: `{"text":"{{json .Text}}"}`}, "write values as {{json .Text}}"},
		"form with bare text": {Config{URL: api, Headers: header("Content-Type", formType), Body: "a={{.Text}}"},
			"write values as {{urlquery .Text}}"},
		"no body for a form":    {Config{URL: api, Headers: header("Content-Type", formType)}, "it is needed"},
		"body's field":          {Config{URL: api, Body: `{{json .Phone}}`}, "body: "},
		"body not closed":       {Config{URL: api, Body: `{{json .Text`}, "body: "},
		"two ways in":           {Config{URL: api, Auth: Auth{Bearer: key, Username: "u", Password: key}}, "auth: use one"},
		"two tokens":            {Config{URL: api, Auth: Auth{Bearer: key, Token: token.APNs{}}}, "auth: use one"},
		"no key for tokens":     {Config{URL: api, Auth: Auth{Token: token.APNs{KeyID: "K", TeamID: "T"}}}, "auth: the key is not"},
		"no password":           {Config{URL: api, Auth: Auth{Username: "u"}}, "auth: basic needs"},
		"no key":                {Config{URL: api, Auth: Auth{Header: "X-Key"}}, "auth: a header needs"},
		"key in a wrong header": {Config{URL: api, Auth: Auth{Header: "Host", Key: key}}, "auth: that header"},
		"secrets without TLS":   {Config{URL: "http://api.example.com", Auth: Auth{Bearer: key}}, "over https only"},
		"secrets to anywhere":   {Config{Auth: Auth{Bearer: key}}, "hosts: name those"},
		"a key to anywhere":     {Config{Auth: Auth{Header: "X-Key", Key: key}}, "hosts: name those"},
		"signed to anywhere":    {Config{Sign: by("a.example", one)}, "hosts: name those"},
		"headers to anywhere":   {Config{Headers: header("X-Key", "1")}, "hosts: name those"},
		"inside anywhere":       {Config{AllowPrivate: true}, "hosts: name those"},
		"a secret for two hosts": {Config{Hosts: []string{"a.example", "b.example"}, Sign: by("a.example", one)},
			"sign: each of the hosts (a.example, b.example) needs a secret of its own"},
		"a secret for no host": {Config{Hosts: []string{"a.example"}, Sign: map[string][]outbound.Secret{
			"a.example": {one}, "b.example": {one}}}, "sign: each of the hosts (a.example)"},
		"a secret of many hosts": {Config{Hosts: []string{"*.a.example"}, Sign: by("*.a.example", one)},
			"none can begin with *"},
		"a secret of another":  {Config{URL: api, Sign: by("b.example", one)}, "sign: each of the hosts (api.example.com)"},
		"hosts and a URL":      {Config{URL: api, Hosts: []string{"a.example"}}, "hosts: they are for"},
		"a host with a path":   {Config{Hosts: []string{"a.example/x"}}, "hosts: "},
		"a host of stars":      {Config{Hosts: []string{"*.*.example"}}, "hosts: "},
		"an empty host":        {Config{Hosts: []string{""}}, "hosts: "},
		"empty signing secret": {Config{URL: api, Sign: by("api.example.com", outbound.Fixed(""))}, "a signing secret is"},
		"bad signing secret":   {Config{URL: api, Sign: by("api.example.com", key)}, "a signing secret is"},
		"rule for everything":  {rule(Rule{Verdict: provider.Rejected}), "rule 1: it would fit every answer"},
		"rule's status":        {rule(Rule{Status: "6xx"}), `rule 1: status "6xx"`},
		"rule's range":         {rule(Rule{Status: "299-200"}), "status"},
		"rule's number":        {rule(Rule{Status: "x"}), "status"},
		"rule's path":          {rule(Rule{JSON: is("$.a[", "1")}), "use a path"},
		"rule's text":          {rule(Rule{Text: "a(", Verdict: provider.Rejected}), "its text: error parsing"},
		"rule's text's end":    {rule(Rule{Text: "a)|(b", Verdict: provider.Rejected}), "its text: error parsing"},
		"rule's look ahead":    {rule(Rule{Text: "a(?=b)", Verdict: provider.Rejected}), "its text: error parsing"},
		"rule's header":        {rule(Rule{Headers: header("a b", "x"), Verdict: provider.Rejected}), "a b: that is no name"},
		"rule's wait's path": {rule(Rule{Status: "429", RetryAfter: "$.a[", Verdict: provider.Failed}),
			"retry after: use a path"},
		"a wait for nothing": {rule(Rule{Status: "429", RetryAfter: "$.a", Verdict: provider.Rejected}), "asked again"},
		"rule's reason": {rule(Rule{Status: "200", Verdict: provider.Skipped, Reason: topology.ReasonKilled}),
			"must be invalid_address"},
		"a reason too many": {rule(Rule{Status: "200", Verdict: provider.Rejected, Reason: topology.ReasonSuppressed}),
			"only skipped"},
		"rule's verdict":      {rule(Rule{Status: "200", Verdict: provider.Expired}), "do not have that verdict"},
		"message id's path":   {Config{URL: api, MessageID: "$"}, "message id: use a path"},
		"message id's header": {Config{URL: api, MessageID: "header:a b"}, "message id: "},
	} {
		if _, err := New(c.config); err == nil || !strings.Contains(err.Error(), c.want) ||
			strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestConfigDoesNotPrintSecrets(t *testing.T) {
	key := outbound.Fixed("SECRET")
	c := Config{Name: "a", URL: "https://a.example", Auth: Auth{Bearer: key},
		Sign: map[string][]outbound.Secret{"a.example": {outbound.Fixed(key1)}}}
	p, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprintf("%+v %#v %+v", c, c, p); strings.Contains(text, "SECRET") || strings.Contains(text, key1) {
		t.Error(text)
	}
}

func TestPaths(t *testing.T) {
	const answer = `{"id":"a","messages":[{"id":7,"x.y":"b","it's":"q"}],"@this":"c","é":"d","0":"zero"}`
	for path, want := range map[string]string{
		"$.id": "a", "id": "a", "$.messages[0].id": "7", "messages[0]['x.y']": "b", `$.messages[0]["it's"]`: "q",
		"$.@this": "c", "$['@this']": "c", "$.é": "d", "$.nope": "", "$.messages[1].id": "", "$.messages.0.id": "7",
		"$.0":             "zero",
		"$.messages.#.id": "", "$.*": "", "$.id|@reverse": "", "$.messages[*].id": "[7]", "$['*']": "",
	} {
		translated, err := jsonpath.Parse(path)
		if got := gjson.Get(answer, translated).String(); err != nil || got != want {
			t.Errorf("%s (%s): %q, %v, want %q", path, translated, got, err, want)
		}
	}
	translated, err := jsonpath.Parse("$[1].id")
	if err != nil || gjson.Get(`[1,{"id":"x"}]`, translated).String() != "x" {
		t.Errorf("%s, %v", translated, err)
	}
	for _, path := range []string{"", "$", "$.", "$..a", "$.a.", "$[", "$[]", "$[a]", "$['']", "$['a'", "$.a]b", "a[-1]"} {
		if translated, err := jsonpath.Parse(path); err == nil {
			t.Errorf("%q is %q", path, translated)
		}
	}
}

// A URL goes where the configuration says, and its values come out as they were
// put in.
func FuzzURL(f *testing.F) {
	for _, s := range []string{"a", "..", "/../x", "?a=b", "#", "%2e%2e", "@evil.example", "\r\n", "å", "\xff"} {
		f.Add(s)
	}
	target, err := newTarget("https://api.example.com:8443/v1/{{.To}}/x?q={{.Text}}&r=1")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := target.make(&Data{Message: template.Message{To: s, Text: s}})
		if err != nil {
			if s != "." && s != ".." {
				t.Fatalf("%q: %v", s, err)
			}
			return
		}
		query, err := url.ParseQuery(u.RawQuery)
		if err != nil || len(query) != 2 || query.Get("q") != s || u.Path != "/v1/"+s+"/x" ||
			u.Host != "api.example.com:8443" || u.Scheme != "https" || u.Fragment != "" {
			t.Fatalf("%q makes %s", s, u)
		}
	})
}

func FuzzBody(f *testing.F) {
	f.Add("a", "b")
	f.Add(hostile, "\x00\xff\u2028")
	b, err := newBody(`{"to":{{json .To}},"text":{{json .Text}}}`, jsonType)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, to, text string) {
		body, err := b.make(&Data{Message: template.Message{To: to, Text: text}})
		if err != nil {
			t.Fatal(err)
		}
		value := gjson.ParseBytes(body)
		if len(value.Map()) != 2 || utf8.ValidString(text) && value.Get("text").String() != text {
			t.Fatalf("%s", body)
		}
	})
}
