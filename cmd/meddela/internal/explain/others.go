package explain

import (
	"slices"

	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/topology"
)

// Other is a template that is no candidate, and would be but for one thing.
type Other struct {
	Template topology.TemplateRef `json:"template"`
	Channel  topology.Channel     `json:"channel"`
	Cause    Cause                `json:"cause"`
}

// Cause is why a template is no candidate.
type Cause string

const (
	OtherChannel Cause = "other_channel"
	Retired      Cause = "retired"
	NotAnyMore   Cause = "not_any_more" // an older version covers the type on the channel, the live one does not
)

func othersOf(event *topology.Event, c *catalogue.Catalogue) []Other {
	others := []Other{}
	told := map[string]bool{}
	for entry := range c.All() {
		record := entry.Record()
		latest, _ := c.Latest(record.Name)
		if told[record.Name] || !slices.Contains(record.Types, event.Type) {
			continue
		}
		onChannel := record.Channel == event.Channel
		switch {
		case entry == latest && record.Retired:
			others = append(others, Other{entry.Ref(), record.Channel, Retired})
		case entry == latest && !onChannel:
			others = append(others, Other{entry.Ref(), record.Channel, OtherChannel})
		case entry != latest && onChannel && !covers(latest.Record(), event):
			others = append(others, Other{entry.Ref(), record.Channel, NotAnyMore})
		default:
			// A candidate, or an older version of one.
		}
		told[record.Name] = true
	}
	return others
}

func covers(record *topology.TemplateRecord, event *topology.Event) bool {
	return record.Channel == event.Channel && slices.Contains(record.Types, event.Type)
}

// Types lists the event types that live templates cover, sorted.
func Types(c *catalogue.Catalogue) []string {
	var types []string
	for entry := range c.All() {
		if live, ok := c.Live(entry.Record().Name); ok && live == entry {
			types = append(types, entry.Record().Types...)
		}
	}
	slices.Sort(types)
	return slices.Compact(types)
}
