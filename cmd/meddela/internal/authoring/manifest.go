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

	"github.com/meddela/meddela/cmd/meddela/internal/strictyaml"
	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/consumer/deliver/recipient/quiet"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/consumer/template/condition"
	"github.com/meddela/meddela/topology"
)

// manifest is a template.yaml that could be read.
type manifest struct {
	*strictyaml.Map
	file      string
	condition *condition.Condition // of the key when; nil where there is none, or a bad one
}

// manifest reads a template.yaml into a record; nil is none that could be read.
func (l *loader) manifest(name string, r *topology.TemplateRecord) *manifest {
	file := path.Join(name, manifestName)
	if _, err := fs.Stat(l.folder, file); errors.Is(err, fs.ErrNotExist) {
		l.faults.Add(file, 0, "is not there: add it, or let the folder's name start with _ if it holds no template")
		return nil
	}
	text, ok := l.read(file)
	if !ok {
		return nil
	}
	top := strictyaml.Open(file, text, &l.faults)
	if top == nil {
		return nil
	}
	m := &manifest{Map: top, file: file}
	m.readName(name)
	r.Types = m.readTypes()
	channels := wording.Texts(topology.Channels())
	m.Needs("channel", "say one of "+strings.Join(channels, ", "))
	r.Channel = topology.Channel(m.OneOf("channel", "", channels...))
	r.DefaultLanguage = m.Text("default_language")
	r.TTL = m.readTTL()
	r.Urgent = m.Bool("urgent")
	r.OnAmbiguous = m.OneOf("on_ambiguous", "", topology.ResendAmbiguous, topology.HoldAmbiguous)
	r.Retry = m.readRetry()
	r.MaxParts = m.Int("max_parts", 1, 255)
	r.QuietHours = m.Text("quiet_hours")
	if _, err := quiet.Parse(r.QuietHours); r.QuietHours != "" && err != nil {
		m.Fail("quiet_hours", err.Error())
	}
	r.URL = m.readURL(r.Channel)
	r.When = m.readWhen()
	m.NoneEmpty()
	m.Close()
	return m
}

func (m *manifest) readName(folder string) {
	switch name := m.Text("name"); {
	case !template.ValidName(folder):
		m.Fail("name", "the folder's name is the template's, and must be 1 to 100 of a-z 0-9 . _ -, "+
			"starting with a letter or digit: rename "+strconv.Quote(folder))
	case m.Has("name") && name != folder:
		m.Fail("name", "it must be the folder's name, "+strconv.Quote(folder)+": change one of them, or leave it out")
	}
}

func (m *manifest) readTypes() []string {
	types := m.Strings("types")
	m.Needs("types", "name the event types that the template covers, such as types: [order_confirmation]")
	for i, t := range types {
		switch {
		case len(t) > topology.MaxTypeLength:
			m.Fail("types", "an event type has 1 to "+strconv.Itoa(topology.MaxTypeLength)+" bytes")
		case slices.Contains(types[:i], t):
			m.Fail("types", strconv.Quote(t)+" is there twice: remove one")
		}
	}
	return types
}

func (m *manifest) readTTL() topology.Duration {
	text := m.Text("ttl")
	if text == "" {
		return 0
	}
	ttl, err := time.ParseDuration(text)
	if err != nil || ttl <= 0 {
		m.Fail("ttl", "it must be a length of time such as 90s, 15m or 24h")
	}
	return topology.Duration(ttl)
}

// noRetry is what an author says who wants no further attempt.
const noRetry = "never"

const mostRetries = 20

func (m *manifest) readRetry() []topology.Duration {
	texts := m.Texts("retry")
	switch {
	case len(texts) == 0:
		return nil
	case len(texts) == 1 && texts[0] == noRetry:
		return []topology.Duration{}
	case len(texts) > mostRetries:
		m.Fail("retry", "there are more than "+strconv.Itoa(mostRetries)+" waits: a longer last one does as well")
	}
	waits := make([]topology.Duration, 0, len(texts))
	for _, text := range texts {
		wait, err := time.ParseDuration(text)
		if err != nil || wait < time.Second || wait > 7*24*time.Hour {
			m.Fail("retry", strconv.Quote(text)+" must be a wait from 1s to 168h, as in [10s, 1m, 1h], or never")
		}
		waits = append(waits, topology.Duration(wait))
	}
	return waits
}

func (m *manifest) readURL(c topology.Channel) string {
	text := m.Text("url")
	switch {
	case c != topology.Webhook && m.Has("url"):
		m.Fail("url", "it belongs to channel webhook only: remove it")
	case c == topology.Webhook && m.Needs("url", "say where the webhook is to be sent") && text != "":
		if u, err := url.Parse(text); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
			m.Fail("url", "it must be a whole URL such as https://hooks.example.com/shipments")
		} else if u.User != nil {
			m.Fail("url", "it must not hold a password: everyone who can read the templates could read it")
		}
	}
	return text
}

// readWhen reads the condition, without the blanks around it.
func (m *manifest) readWhen() string {
	when := strings.TrimSpace(m.Text("when"))
	if when == "" {
		return ""
	}
	var err error
	m.condition, err = condition.Compile(when)
	found, _ := errors.AsType[condition.Faults](err)
	for _, f := range found {
		m.FailWithin("when", when, f.Line, f.Column, f.Detail)
	}
	return when
}
