package authoring

import (
	"errors"
	"io/fs"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/meddela/meddela/consumer/deliver/recipient/quiet"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

// manifestKeys are what a template.yaml may say.
var manifestKeys = []string{"name", "types", "channel", "default_language", "when", "ttl", "urgent", "on_ambiguous", "retry", "quiet_hours", "url"}

// manifest reads a template.yaml into a record. It returns nil when there is
// none that could be read.
func (l *loader) manifest(name string, r *topology.TemplateRecord) *manifest {
	file := path.Join(name, manifestName)
	if _, err := fs.Stat(l.folder, file); errors.Is(err, fs.ErrNotExist) {
		l.faults.add(file, 0, "is not there: add it, or let the folder's name start with _ if it holds no template")
		return nil
	}
	text, ok := l.read(file)
	if !ok {
		return nil
	}
	m := parseManifest(file, text, &l.faults)
	if m == nil {
		return nil
	}
	m.onlyKnown(manifestKeys)
	m.readName(name)
	r.Types = m.readTypes()
	r.Channel = m.readChannel()
	r.DefaultLanguage = m.text("default_language")
	r.TTL = m.readTTL()
	r.Urgent = m.boolean("urgent")
	r.OnAmbiguous = m.oneOf("on_ambiguous", topology.ResendAmbiguous, topology.HoldAmbiguous)
	r.Retry = m.readRetry()
	r.QuietHours = m.readQuietHours()
	r.URL = m.readURL(r.Channel)
	r.When = m.readWhen()
	return m
}

func (m *manifest) readName(folder string) {
	switch name := m.text("name"); {
	case !template.ValidName(folder):
		m.fail("name", "the folder's name is the template's, and must be 1 to 100 of a-z 0-9 . _ -, starting with a letter or digit: rename "+strconv.Quote(folder))
	case m.has("name") && name != folder:
		m.fail("name", "must be the folder's name, "+strconv.Quote(folder)+": change one of them, or leave it out")
	}
}

func (m *manifest) readTypes() []string {
	types := m.texts("types")
	if !m.has("types") {
		m.fail("types", "there are no types: name the event types that the template covers, such as types: [order_confirmation]")
	}
	for i, t := range types {
		switch {
		case t == "" || len(t) > topology.MaxTypeLength:
			m.fail("types", "an event type has 1 to "+strconv.Itoa(topology.MaxTypeLength)+" bytes")
		case slices.Contains(types[:i], t):
			m.fail("types", strconv.Quote(t)+" is there twice: remove one")
		}
	}
	return types
}

func (m *manifest) readChannel() topology.Channel {
	var names []string
	for _, c := range topology.Channels() {
		names = append(names, string(c))
	}
	if !m.has("channel") {
		m.fail("channel", "there is no channel: say one of "+strings.Join(names, ", "))
	}
	return topology.Channel(m.oneOf("channel", names...))
}

func (m *manifest) readTTL() topology.Duration {
	if !m.has("ttl") {
		return 0
	}
	text, _ := textOf(m.fields["ttl"].value)
	ttl, err := time.ParseDuration(text)
	if err != nil || ttl <= 0 {
		m.fail("ttl", "must be a length of time such as 90s, 15m or 24h")
	}
	return topology.Duration(ttl)
}

// noRetry is what an author says who wants no further attempt.
const noRetry = "never"

const mostRetries = 20

func (m *manifest) readRetry() []topology.Duration {
	texts := m.texts("retry")
	switch {
	case len(texts) == 0:
		return nil
	case len(texts) == 1 && texts[0] == noRetry:
		return []topology.Duration{}
	case len(texts) > mostRetries:
		m.fail("retry", "there are more than "+strconv.Itoa(mostRetries)+" waits: a longer last one does as well")
	}
	waits := make([]topology.Duration, 0, len(texts))
	for _, text := range texts {
		wait, err := time.ParseDuration(text)
		if err != nil || wait < time.Second || wait > 7*24*time.Hour {
			m.fail("retry", strconv.Quote(text)+" must be a wait from 1s to 168h, as in [10s, 1m, 1h], or never")
		}
		waits = append(waits, topology.Duration(wait))
	}
	return waits
}

func (m *manifest) readQuietHours() string {
	text := m.text("quiet_hours")
	if text == "" {
		return ""
	}
	if _, err := quiet.Parse(text); err != nil {
		m.fail("quiet_hours", err.Error())
	}
	return text
}

func (m *manifest) readURL(c topology.Channel) string {
	text := m.text("url")
	switch {
	case c != topology.Webhook && m.has("url"):
		m.fail("url", "belongs to channel webhook only: remove it")
	case c == topology.Webhook && !m.has("url"):
		m.fail("url", "there is no url: say where the webhook is to be sent")
	case text != "":
		if u, err := url.Parse(text); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
			m.fail("url", "must be a whole URL such as https://hooks.example.com/shipments")
		} else if u.User != nil {
			m.fail("url", "must not hold a password: everyone who can read the templates could read it")
		}
	}
	return text
}
