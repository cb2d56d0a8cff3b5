package bench

import (
	"strconv"

	"github.com/oklog/ulid/v2"

	"github.com/meddela/meddela/topology"
)

// eventBytes is the size of every event's value.
const eventBytes = 1024

var (
	languages = []string{"en", "sv-SE", "sv-FI", "nb-NO"}
	countries = []string{"GB", "SE", "FI", "NO"}
	names     = []string{"Kim", "Åsa", "Mika", "Ingrid", "Noor"}
	articles  = []string{"Wool blanket, grey", "Enamel mug 3 dl", "Desk lamp, brass", "Canvas bag", "Coat hook, oak"}
)

const eventType = "order_confirmation"

// newEvent makes an order confirmation of eventBytes, with a new id. It
// resembles its neighbours no more than real ones do.
func newEvent(number int) topology.Record {
	event := topology.Event{
		ID:            topology.EventID(ulid.Make().String()),
		Type:          eventType,
		Channel:       topology.Email,
		To:            "customer." + strconv.Itoa(number) + "@example.com",
		Language:      languages[number%len(languages)],
		Country:       countries[number%len(countries)],
		Origin:        "webshop",
		ExternalID:    "cust-" + strconv.Itoa(number*7919%1_000_000),
		CorrelationID: "checkout-" + strconv.Itoa(number),
	}
	event.Ctx = order(number)
	value := event.Append(make([]byte, 0, eventBytes+256))
	if missing := eventBytes - len(value); missing > 0 {
		value = stretch(value, missing)
	}
	return topology.Record{Key: []byte(event.ID), Value: value}
}

// order is the personalisation data of an order, which ends in a text that can
// be stretched.
func order(number int) []byte {
	b := make([]byte, 0, eventBytes)
	b = append(b, `{"firstName":`...)
	b = strconv.AppendQuote(b, names[number%len(names)])
	b = append(b, `,"order":{"number":"A-`...)
	b = strconv.AppendInt(b, int64(number), 10)
	b = append(b, `","currency":"SEK","lines":[`...)
	for i := range 4 {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"article":`...)
		b = strconv.AppendQuote(b, articles[(number+i)%len(articles)])
		b = append(b, `,"quantity":`...)
		b = strconv.AppendInt(b, int64(1+(number+i)%3), 10)
		b = append(b, `,"price":"`...)
		b = strconv.AppendInt(b, int64(49+number*(i+1)%900), 10)
		b = append(b, `.00"}`...)
	}
	b = append(b, `],"total":"`...)
	b = strconv.AppendInt(b, int64(200+number%5000), 10)
	return append(b, `.90"},"note":""}`...)
}

// stretch fills the last text of an event, which is two braces and a quote
// before its end, with n bytes.
func stretch(value []byte, n int) []byte {
	const words = "please leave the parcel with the neighbour if nobody is at home "
	const tail = `"}}`
	value = value[:len(value)-len(tail)]
	for ; n > 0; n -= min(n, len(words)) {
		value = append(value, words[:min(n, len(words))]...)
	}
	return append(value, tail...)
}
