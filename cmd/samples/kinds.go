package samples

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/meddela/meddela/topology"
)

// object is a JSON object.
type object = map[string]any

func encode(ctx object) []byte {
	b, err := json.Marshal(ctx)
	if err != nil {
		panic("samples: a ctx has something that cannot be JSON: " + err.Error())
	}
	return b
}

// person is somebody whom messages are for.
type person struct {
	firstName, mailbox, language, country string
}

var people = []person{
	{"Åsa", "asa", "sv-SE", "SE"},
	{"Björn", "bjorn", "sv", "SE"},
	{"Linnéa", "linnea", "sv-FI", "FI"},
	{"Aino", "aino", "fi", "FI"},
	{"Väinö", "vaino", "fi-FI", "FI"},
	{"Jürgen", "juergen", "de-DE", "DE"},
	{"Anneliese", "anneliese", "de", "AT"},
	{"Kim", "kim", "en-GB", "GB"},
	{"Siobhán", "siobhan", "en-IE", "IE"},
	{"Chloé", "chloe", "fr-FR", "FR"}, // in whose language no template is
}

func (g *generator) person() person { return pick(g, people) }

// kind is a sort of events.
type kind struct {
	eventType string
	channel   topology.Channel
	lane      topology.Lane
	origin    string
	ctx       func(g *generator, p person, at time.Time) object
}

var kinds = []kind{
	{"order_confirmation", topology.Email, topology.Realtime, "webshop", order},
	{"order_confirmation", topology.Email, topology.Realtime, "app", order},
	{"password_reset", topology.Email, topology.Realtime, "accounts", passwordReset},
	{"one_time_code", topology.SMS, topology.Realtime, "login", oneTimeCode},
	{"one_time_code", topology.SMS, topology.Realtime, "checkout", oneTimeCode},
	{"flight_change", topology.Push, topology.Realtime, "operations", flightChange},
	{"invoice", topology.Email, topology.Batch, "billing", invoice},
	{"invoice_reminder", topology.Email, topology.Batch, "billing", invoice},
	{"order_confirmation", topology.Email, topology.Batch, "marketplace", order},
	{"flight_change", topology.Push, topology.Batch, "schedule", flightChange},
	{"shipment", topology.Webhook, topology.Batch, "warehouse", shipment},
}

// kind draws a sort of events that can meet the fate: what goes to a template's
// own target has no address that could be at fault, and is covered.
func (g *generator) kind(f fate) kind {
	for {
		k := pick(g, kinds)
		if k.channel != topology.Webhook || f.want == topology.Sent {
			return k
		}
	}
}

func order(g *generator, p person, _ time.Time) object {
	return object{"firstName": p.firstName, "order": object{
		"number":   pick(g, []string{"A-", "B-"}) + g.digits(5),
		"total":    g.amount(),
		"currency": currency(p),
	}}
}

func passwordReset(g *generator, p person, _ time.Time) object {
	return object{"firstName": p.firstName, "link": "https://accounts.example.test/reset?token=" + g.digits(20)}
}

func oneTimeCode(g *generator, _ person, _ time.Time) object {
	return object{"code": g.digits(6), "minutes": 5}
}

func flightChange(g *generator, _ person, at time.Time) object {
	flight := object{
		"number":    "ND " + g.digits(3),
		"to":        pick(g, []string{"Tromsø", "Zürich", "Göteborg", "Ivalo", "London"}),
		"cancelled": g.IntN(5) == 0,
		"departure": at.Add(time.Duration(g.IntN(600)) * time.Minute).UTC().Format(time.RFC3339),
	}
	if g.IntN(2) == 0 {
		flight["gate"] = pick(g, []string{"A", "B", "F"}) + g.digits(2)
	}
	return object{"flight": flight}
}

func invoice(g *generator, p person, at time.Time) object {
	number := "F-" + g.digits(6)
	lines := []object{{"text": "Subscription", "amount": g.amount()}}
	if g.IntN(3) == 0 {
		lines = append(lines, object{"text": "Paper & postage", "amount": g.amount()})
	}
	return object{"firstName": p.firstName, "invoice": object{
		"number":   number,
		"total":    g.amount(),
		"currency": currency(p),
		"due":      at.AddDate(0, 0, 30).UTC().Format(time.RFC3339),
		"link":     "https://billing.example.test/" + number + "?key=" + g.digits(12),
		"lines":    lines,
	}}
}

func shipment(g *generator, _ person, _ time.Time) object {
	parcels := make([]object, 1+g.IntN(3))
	for i := range parcels {
		parcels[i] = object{"id": g.digits(10), "grams": 100 + g.IntN(9000)}
	}
	return object{
		"order":    object{"number": "A-" + g.digits(5)},
		"carrier":  pick(g, []string{"PostNord", "Matkahuolto", "DHL"}),
		"tracking": "SE" + g.digits(9),
		"parcels":  parcels,
	}
}

func (g *generator) amount() string { return fmt.Sprintf("%d.%02d", 10+g.IntN(900), g.IntN(100)) }

func currency(p person) string {
	switch p.country {
	case "SE":
		return "SEK"
	case "GB":
		return "GBP"
	}
	return "EUR"
}
