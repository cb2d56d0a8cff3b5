// Package samples holds the templates and events of a demonstration.
package samples

import (
	"bytes"
	"embed"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/meddela/meddela/topology"
)

// The prefix takes in the folder of partials, whose name starts with _.
//
//go:embed all:templates
var folder embed.FS

// Templates is a folder of templates, as package authoring loads it.
func Templates() fs.FS {
	templates, _ := fs.Sub(folder, "templates") // its only error is of the name
	return templates
}

// Sample is an event of a demonstration.
type Sample struct {
	Lane  topology.Lane
	Event topology.Event // with its wire form in Raw
	// Want is the status that it ends in, with the sample templates and the sandbox provider. Scheduled ones
	// stay pending_delivery for longer than a demonstration lasts.
	Want topology.Status
}

// outcome is how an event is to end, and what brings that about.
type outcome struct {
	want    topology.Status
	ofFifty int                                   // how many of fifty events have it
	apply   func(e *topology.Event, at time.Time) // has an event end that way that was made to be sent
}

// outcomes are all ways to end; those in the same status have different causes.
var outcomes = []outcome{
	{topology.Sent, 37, func(*topology.Event, time.Time) {}},
	{topology.PendingDelivery, 2, func(e *topology.Event, at time.Time) { e.Scheduled = at.Add(time.Hour).UTC() }},
	{topology.Ignored, 2, func(e *topology.Event, _ time.Time) { e.To = "" }},
	{topology.Ignored, 2, func(e *topology.Event, _ time.Time) { e.To = ending(e, "skip") }},
	{topology.Expired, 2, func(e *topology.Event, at time.Time) { e.Expiration = at.Add(-time.Minute).UTC() }},
	{topology.NotCovered, 1, func(e *topology.Event, _ time.Time) { e.Type = "loyalty_tier_changed" }},
	{topology.NotCovered, 1, func(e *topology.Event, _ time.Time) { e.Channel, e.To = topology.Webhook, "" }},
	{topology.DeliveryError, 2, func(e *topology.Event, _ time.Time) { e.To = ending(e, "fail") }},
	{topology.DeliveryError, 1, func(e *topology.Event, _ time.Time) { e.Ctx = []byte("{}") }},
}

// readers are the languages and countries of recipients; no template is in the last one's language.
var readers = []struct{ language, country string }{
	{"sv-SE", "SE"}, {"sv", "SE"}, {"sv-FI", "FI"}, {"fi", "FI"}, {"fi-FI", "FI"}, {"de-DE", "DE"}, {"de", "AT"},
	{"en-GB", "GB"}, {"en-IE", "IE"}, {"fr-FR", "FR"},
}

// Events makes events without end: of several types, channels and languages, on
// both lanes. Of every fifty in a row from the first on, some end in each
// status but pending. The same seed and times give the same events.
func Events(seed uint64, now func() time.Time) iter.Seq[Sample] {
	return func(yield func(Sample) bool) {
		var key [32]byte
		binary.LittleEndian.PutUint64(key[:], seed)
		source := rand.NewChaCha8(key)
		g := generator{Rand: rand.New(source), entropy: source, models: models()}
		var deck []outcome
		for _, o := range outcomes {
			for range o.ofFifty {
				deck = append(deck, o)
			}
		}
		for {
			g.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
			for _, o := range deck {
				if !yield(g.sample(o, now())) {
					return
				}
			}
		}
	}
}

// models are the events beside the sample templates, but for those that have special characters.
func models() (events []topology.Event) {
	files, _ := fs.Glob(folder, "templates/*/samples/*.json") // its only error is of the pattern
	for _, file := range files {
		if strings.HasSuffix(file, "/special_characters.json") {
			continue
		}
		var line bytes.Buffer
		text, err := folder.ReadFile(file)
		err = errors.Join(err, json.Compact(&line, text))
		event, fault := topology.DecodeEvent(topology.Record{Value: line.Bytes()}, topology.Realtime)
		if err = errors.Join(err, fault); err != nil {
			panic("samples: " + file + ": " + err.Error())
		}
		events = append(events, event)
	}
	return events
}

type generator struct {
	*rand.Rand
	entropy *rand.ChaCha8
	models  []topology.Event
}

// sample makes an event of a model that ends as an outcome says.
func (g *generator) sample(o outcome, at time.Time) Sample {
	e := g.models[g.IntN(len(g.models))]
	// What goes to a template's own target has no address that could be at
	// fault, and is covered.
	for e.Channel == topology.Webhook && o.want != topology.Sent {
		e = g.models[g.IntN(len(g.models))]
	}
	reader := readers[g.IntN(len(readers))]
	e.ID = topology.EventID(ulid.MustNew(ulid.Timestamp(at), g.entropy).String())
	e.To, e.Language, e.Country = g.address(e.Channel), reader.language, reader.country
	e.ExternalID, e.CorrelationID = "cust-"+g.digits(4), g.digits(8)
	e.Scheduled, e.Expiration = time.Time{}, at.Add(24*time.Hour).UTC()
	o.apply(&e, at)
	e.Raw = e.Append(nil)
	return Sample{Lane: topology.Lanes()[g.IntN(len(topology.Lanes()))], Want: o.want, Event: e}
}

func (g *generator) digits(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('0' + g.IntN(10))
	}
	return string(b)
}

// address makes one that the sandbox provider accepts, and that is nobody's: the domain is reserved for tests,
// and Sweden keeps the range of numbers for fiction.
func (g *generator) address(c topology.Channel) string {
	switch c {
	case topology.Email:
		return "kim" + g.digits(3) + "@example.test"
	case topology.SMS:
		return fmt.Sprintf("+467017406%02d", 5+g.IntN(95))
	case topology.Push:
		return "device-" + g.digits(12)
	}
	return ""
}

// ending is an address by which an event asks the sandbox provider for an outcome,
// fail or skip; none where the channel has no such addresses.
func ending(e *topology.Event, word string) string {
	switch {
	case e.Channel == topology.Push:
		return word + "-" + e.To
	case e.Channel != topology.SMS:
		return "kim@" + word + ".example.test"
	case word == "fail":
		return "+46700000000"
	}
	return ""
}
