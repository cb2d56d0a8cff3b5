package status

import (
	"strconv"
	"time"

	"github.com/meddela/meddela/consumer/internal/script"
	"github.com/meddela/meddela/topology"
)

// Fields that not every winner has, as bits of an index of lacking.
const (
	noReason = 1 << iota
	noDetail
	noTemplate
	noProvider
	noProviderMessageID
	noFinalAt
)

// lacking are sets of such fields, as merge.lua wants them: the digits of
// their bits, counted from 1.
var lacking = func() (sets [2 * noFinalAt]any) {
	for set := range sets {
		digits := ""
		for bit := 0; 1<<bit <= noFinalAt; bit++ {
			if set&(1<<bit) != 0 {
				digits += strconv.Itoa(bit + 1)
			}
		}
		sets[set] = digits
	}
	return sets
}()

// arguments are what merge.lua is given about one event, in its order.
type arguments struct{ *script.Args }

func (a arguments) state(s *topology.State) {
	header := len(a.List)
	a.Add(nil, nil, nil)
	missing := a.winner(s)
	rest := len(a.List)
	a.text(topology.FieldSource, (*string)(&s.Source), 0)
	a.text(topology.FieldLane, (*string)(&s.Lane), 0)
	a.text(topology.FieldType, &s.Type, 0)
	a.text(topology.FieldChannel, (*string)(&s.Channel), 0)
	a.time(topology.FieldPendingAt, s.PendingAt)
	a.time(topology.FieldPendingDeliveryAt, s.PendingDeliveryAt)
	a.time(topology.FieldScheduledAt, s.Scheduled)
	first := header + 3
	a.List[header] = rest - first
	a.List[header+1] = len(a.List) - first
	a.List[header+2] = lacking[missing]
}

// winner adds what the greatest rank brings, and returns the bits of what it
// lacks.
func (a arguments) winner(s *topology.State) (missing int) {
	updated := a.Int(s.UpdatedAt.UnixMilli())
	a.Add(
		topology.FieldRank, (*string)(&s.Rank),
		topology.FieldStatus, (*string)(&s.Status),
		topology.FieldUpdatedAt, updated,
		topology.FieldRedrives, a.Int(int64(s.Redrives)),
		topology.FieldAttempt, a.Int(int64(s.Attempt)),
	)
	missing |= a.text(topology.FieldReason, (*string)(&s.Reason), noReason)
	missing |= a.text(topology.FieldDetail, &s.Detail, noDetail)
	missing |= a.text(topology.FieldTemplate, (*string)(&s.Template), noTemplate)
	missing |= a.text(topology.FieldProvider, &s.Provider, noProvider)
	missing |= a.text(topology.FieldProviderMessageID, &s.ProviderMessageID, noProviderMessageID)
	if !s.Status.Final() {
		return missing | noFinalAt
	}
	a.Add(topology.FieldFinalAt, updated)
	return missing
}

// text adds a field. An empty one it leaves out, and returns missing.
func (a arguments) text(name any, value *string, missing int) int {
	if *value == "" {
		return missing
	}
	a.Add(name, value)
	return 0
}

// time adds a field, unless it is zero, or before 1970, for which a hash has no
// room.
func (a arguments) time(name any, at time.Time) {
	if at.UnixMilli() > 0 {
		a.Add(name, a.Int(at.UnixMilli()))
	}
}
