package authoring

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/topology"
)

// MinPruneAge is how long a version must have been out of use, at least, before
// it may be pruned: far longer than a role may go on matching by an old
// catalogue.
const MinPruneAge = time.Hour

// Idle is a version that matches no events any more.
type Idle struct {
	Ref   topology.TemplateRef
	Since time.Time // when another was published, or its template was retired
}

// PlanPrune lists the versions that have matched no events for so long, in the
// order in which they may be taken away: the version that keeps its template
// retired comes after all others of its name.
//
// Jobs may still need them: see References.
func PlanPrune(live *catalogue.Catalogue, age time.Duration, now time.Time) []Idle {
	var idle []Idle
	var last *catalogue.Entry // of the same name, published later
	for entry := range live.All() {
		record := entry.Record()
		if last != nil && last.Record().Name != record.Name {
			last = nil
		}
		since := record.PublishedAt
		if last != nil {
			since = last.Record().PublishedAt
		}
		if (last != nil || record.Retired) && now.Sub(since) > age {
			idle = append(idle, Idle{entry.Ref(), since})
		}
		last = entry
	}
	slices.Reverse(idle)
	return idle
}

// Unneeded leaves out of idle versions those that are referenced, and those that
// keep their template retired while older versions of it stay: without them an
// older one would be live again.
func Unneeded(live *catalogue.Catalogue, idle []Idle, references map[topology.TemplateRef]int64) []Idle {
	versions := make(map[string]int)
	for entry := range live.All() {
		versions[entry.Record().Name]++
	}
	var unneeded []Idle
	for _, i := range idle {
		name, _ := i.Ref.Split()
		latest, _ := live.Latest(name)
		if references[i.Ref] > 0 || latest.Ref() == i.Ref && versions[name] > 1 {
			continue
		}
		versions[name]--
		unneeded = append(unneeded, i)
	}
	return unneeded
}

// Prune takes versions away for ever, in the order given. Doing it again where
// it was cut short is safe.
func Prune(ctx context.Context, to Writer, topic topology.Topic, unneeded []Idle) error {
	records := make([]topology.Record, len(unneeded))
	for i := range unneeded {
		records[i] = topology.Record{Topic: topic, Key: []byte(unneeded[i].Ref)}
	}
	refused, err := to.Publish(ctx, topic, 0, records)
	if err == nil && len(refused) > 0 {
		err = fmt.Errorf("the topic does not take %d of %d tombstones", len(refused), len(records))
	}
	return err
}
