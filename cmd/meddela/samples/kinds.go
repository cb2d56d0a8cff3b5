package samples

import (
	"encoding/json"
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
	{"order_confirmation", topology.Email, topology.Realtime, "purchasing", companyOrder},
	{"order_shipped", topology.Email, topology.Realtime, "warehouse", orderShipped},
	{"payment_failed", topology.Email, topology.Realtime, "billing", paymentFailed},
	{"appointment_reminder", topology.SMS, topology.Realtime, "booking", appointment},
	{"account_created", topology.Email, topology.Realtime, "accounts", accountCreated},
	{"monthly_statement", topology.Email, topology.Batch, "loyalty", monthlyStatement},
	{"monthly_statement", topology.Email, topology.Batch, "app", monthlyStatement},
	{"shipment", topology.Webhook, topology.Batch, "warehouse", shipment},
}

// kind draws a sort of events that can meet the outcome: what goes to a template's
// own target has no address that could be at fault, and is covered.
func (g *generator) kind(o outcome) kind {
	for {
		k := pick(g, kinds)
		if k.channel != topology.Webhook || o.want == topology.Sent {
			return k
		}
	}
}
