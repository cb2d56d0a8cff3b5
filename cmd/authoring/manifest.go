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

	"github.com/meddela/meddela/consumer/message"
	"github.com/meddela/meddela/topology"
)

// manifestKeys are what a template.yaml may say.
var manifestKeys = []string{"name", "types", "channel", "default_language", "when", "ttl", "urgent", "on_ambiguous", "url"}

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
	r.URL = m.readURL(r.Channel)
	r.When = m.readWhen()
	return m
}

func (m *manifest) readName(folder string) {
	switch name := m.text("name"); {
	case !message.ValidName(folder):
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
