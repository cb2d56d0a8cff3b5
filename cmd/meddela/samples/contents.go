package samples

import (
	"fmt"
	"time"
)

// homeTime is the offset of the airport that flights leave from.
var homeTime = time.FixedZone("", 3600)

var carriers = []string{"PostNord", "Matkahuolto", "DHL"}

func order(g *generator, p person, _ time.Time) object {
	return object{"firstName": p.firstName, "order": object{
		"number":   pick(g, []string{"A-", "B-"}) + g.digits(5),
		"total":    g.amount(),
		"currency": currency(p),
	}}
}

func passwordReset(g *generator, p person, _ time.Time) object {
	return object{"firstName": p.firstName, "link": "https://accounts.example.test/reset?token=" + g.digits(20),
		"minutes": 60}
}

func oneTimeCode(g *generator, _ person, _ time.Time) object {
	return object{"code": g.digits(6), "minutes": 5}
}

func flightChange(g *generator, _ person, at time.Time) object {
	flight := object{
		"number":    "ND " + g.digits(3),
		"to":        pick(g, []string{"Tromsø", "Zürich", "Göteborg", "Ivalo", "London"}),
		"cancelled": g.IntN(5) == 0,
		"departure": at.Add(time.Duration(g.IntN(600)) * time.Minute).In(homeTime).Format(time.RFC3339),
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
		"due":      at.AddDate(0, 0, 30).Format(time.DateOnly),
		"link":     "https://billing.example.test/" + number + "?key=" + g.digits(12),
		"lines":    lines,
	}}
}

// companyOrder is an order that order_confirmation_business is for.
func companyOrder(g *generator, p person, at time.Time) object {
	ctx := order(g, p, at)
	ctx["companyName"] = pick(g, []string{"Bergström & Döttrar AB", "Müller GmbH", "Hämäläinen Oy"})
	if g.IntN(2) == 0 {
		ctx["reference"] = "PO " + g.digits(4)
	}
	return ctx
}

func orderShipped(g *generator, p person, at time.Time) object {
	parcels := make([]object, 1+g.IntN(3))
	for i := range parcels {
		parcels[i] = object{"tracking": "SE" + g.digits(9)}
	}
	number := "A-" + g.digits(5)
	return object{
		"firstName": p.firstName,
		"order":     object{"number": number},
		"carrier":   pick(g, carriers),
		"expected":  at.AddDate(0, 0, 1+g.IntN(4)).Format(time.DateOnly),
		"parcels":   parcels,
		"link":      "https://tracking.example.test/" + number,
	}
}

func paymentFailed(g *generator, p person, at time.Time) object {
	payment := object{"amount": g.amount(), "currency": currency(p)}
	if g.IntN(3) > 0 {
		payment["card"] = g.digits(4)
		payment["retry"] = at.AddDate(0, 0, 3).Format(time.DateOnly)
	}
	return object{"firstName": p.firstName, "payment": payment, "link": "https://billing.example.test/cards?key=" +
		g.digits(12)}
}

func appointment(g *generator, p person, at time.Time) object {
	start := at.Truncate(15 * time.Minute).Add(time.Duration(96+g.IntN(40)) * 15 * time.Minute)
	return object{
		"appointment": object{
			"start": start.UTC().Format(time.RFC3339),
			"zone":  zone(p),
			"place": pick(g, []string{"Hamngatan 12", "Mannerheimintie 4", "Lindenstraße 8"}),
		},
		"link": "https://nordlund.example/a/" + g.digits(4),
	}
}

func accountCreated(g *generator, p person, _ time.Time) object {
	return object{"firstName": p.firstName, "link": "https://accounts.example.test/?key=" + g.digits(8)}
}

func monthlyStatement(g *generator, p person, at time.Time) object {
	month := at.AddDate(0, 0, -at.Day())
	statement := object{
		"month":    month.Format(time.DateOnly),
		"orders":   1 + g.IntN(4),
		"total":    g.amount(),
		"currency": currency(p),
	}
	if g.IntN(2) == 0 {
		statement["change"] = float64(g.IntN(100)-50) / 100
		statement["points"] = g.IntN(20_000)
	}
	return object{
		"firstName": p.firstName,
		"statement": statement,
		"link":      "https://shop.example.test/purchases?month=" + month.Format("2006-01"),
		"settings":  "https://accounts.example.test/messages?key=" + g.digits(8),
	}
}

func shipment(g *generator, _ person, _ time.Time) object {
	parcels := make([]object, 1+g.IntN(3))
	for i := range parcels {
		parcels[i] = object{"id": g.digits(10), "grams": 100 + g.IntN(9000)}
	}
	return object{
		"order":    object{"number": "A-" + g.digits(5)},
		"carrier":  pick(g, carriers),
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

// zone is where a person reads clocks.
func zone(p person) string {
	switch p.country {
	case "FI":
		return "Europe/Helsinki"
	case "GB", "IE":
		return "Europe/London"
	case "FR":
		return "Europe/Paris"
	case "DE", "AT":
		return "Europe/Berlin"
	}
	return "Europe/Stockholm"
}
