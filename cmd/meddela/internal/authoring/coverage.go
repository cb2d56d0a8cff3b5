package authoring

import (
	"cmp"
	"slices"

	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/topology"
)

// Gap is what changes take the only template from.
type Gap struct {
	Type    string
	Channel topology.Channel
}

// Gaps lists what is covered now, if only for some events, and by no template
// after the changes, sorted.
func Gaps(live *catalogue.Catalogue, changes []Change) []Gap {
	changed := make(map[string]bool, len(changes))
	covered := make(map[Gap]bool)
	for i := range changes {
		r := &changes[i].Record
		changed[r.Name] = true
		if r.Retired {
			continue
		}
		for _, t := range r.Types {
			covered[Gap{t, r.Channel}] = true
		}
	}
	var gaps []Gap
	for i := range changes {
		before := changes[i].Before
		if before == nil || before.Retired {
			continue
		}
		for _, t := range before.Types {
			gap := Gap{t, before.Channel}
			if !covered[gap] && !coveredByOthers(live, gap, changed) {
				gaps = append(gaps, gap)
			}
		}
	}
	slices.SortFunc(gaps, func(a, b Gap) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Channel, b.Channel))
	})
	return slices.Compact(gaps)
}

func coveredByOthers(live *catalogue.Catalogue, gap Gap, changed map[string]bool) bool {
	return slices.ContainsFunc(live.Candidates(gap.Type, gap.Channel), func(e *catalogue.Entry) bool {
		return !changed[e.Record().Name]
	})
}
