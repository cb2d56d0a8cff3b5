package match_test

import (
	"fmt"
	"log"
	"time"

	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/consumer/match"
	"github.com/meddela/meddela/topology"
)

// Which template an event gets, without a broker: the same call that the role makes.
func ExampleDecide() {
	published := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	templates, err := catalogue.New(topology.TemplateRecord{
		Name: "order_large", Version: "1", Types: []string{"order"}, Channel: topology.SMS, DefaultLanguage: "en",
		When: "ctx.total > 1000", PublishedAt: published,
		Bodies: map[string]map[string]string{"en": {"sms.txt": "Somebody calls you about your order."}},
	}, topology.TemplateRecord{
		Name: "order", Version: "7", Types: []string{"order"}, Channel: topology.SMS, DefaultLanguage: "en",
		PublishedAt: published,
		Bodies:      map[string]map[string]string{"en": {"sms.txt": "Thanks."}, "sv": {"sms.txt": "Tack."}},
	})
	if err != nil {
		log.Fatal(err)
	}
	now := published.Add(time.Hour)
	for _, event := range []topology.Event{
		{ID: "1", Type: "order", Channel: topology.SMS, Language: "en", Ctx: []byte(`{"total": 1500}`)},
		{ID: "2", Type: "order", Channel: topology.SMS, Language: "sv-FI", Ctx: []byte(`{"total": 15}`)},
		{ID: "3", Type: "invoice", Channel: topology.SMS, Ctx: []byte(`{}`)},
	} {
		d := match.Decide(&event, now, templates, now, nil)
		fmt.Println(event.ID, d.Status, d.Reason, d.Template, d.Language)
	}
	// Output:
	// 1 pending_delivery  order_large@1 en
	// 2 pending_delivery  order@7 sv
	// 3 not_covered no_template_for_type
}
