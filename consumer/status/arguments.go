package status

import (
	"strconv"
	"time"

	"github.com/meddela/meddela/topology"
)

// numbersPerState is the most numbers that one state's arguments point to.
const numbersPerState = 6

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

// state appends the arguments about one event, in the order that merge.lua
// wants.
func (c *calls) state(s *topology.State) {
	header := len(c.args)
	c.args = append(c.args, nil, nil, nil)
	first := len(c.args)
	missing := c.winner(s)
	rest := len(c.args)
	c.identity(s)
	c.stages(s)
	c.args[header] = rest - first
	c.args[header+1] = len(c.args) - first
	c.args[header+2] = lacking[missing]
}

// winner appends what the greatest rank brings, and returns the bits of what
// it lacks.
func (c *calls) winner(s *topology.State) (missing int) {
	updated := c.millis(s.UpdatedAt)
	c.args = append(c.args,
		topology.FieldRank, (*string)(&s.Rank),
		topology.FieldStatus, (*string)(&s.Status),
		topology.FieldUpdatedAt, updated,
		topology.FieldRedrives, c.number(int64(s.Redrives)),
		topology.FieldAttempt, c.number(int64(s.Attempt)),
	)
	missing |= c.text(topology.FieldReason, (*string)(&s.Reason), noReason)
	missing |= c.text(topology.FieldDetail, &s.Detail, noDetail)
	missing |= c.text(topology.FieldTemplate, (*string)(&s.Template), noTemplate)
	missing |= c.text(topology.FieldProvider, &s.Provider, noProvider)
	missing |= c.text(topology.FieldProviderMessageID, &s.ProviderMessageID, noProviderMessageID)
	if !s.Status.Final() {
		return missing | noFinalAt
	}
	c.args = append(c.args, topology.FieldFinalAt, updated)
	return missing
}

func (c *calls) identity(s *topology.State) {
	c.text(topology.FieldSource, (*string)(&s.Source), 0)
	c.text(topology.FieldLane, (*string)(&s.Lane), 0)
	c.text(topology.FieldType, &s.Type, 0)
	c.text(topology.FieldChannel, (*string)(&s.Channel), 0)
}

func (c *calls) stages(s *topology.State) {
	c.time(topology.FieldPendingAt, s.PendingAt)
	c.time(topology.FieldPendingDeliveryAt, s.PendingDeliveryAt)
	c.time(topology.FieldScheduledAt, s.Scheduled)
}

// text appends a field. An empty one it leaves out, and returns missing.
func (c *calls) text(name any, value *string, missing int) int {
	if *value == "" {
		return missing
	}
	c.args = append(c.args, name, value)
	return 0
}

// time appends a field, unless it is zero, or before 1970, for which a hash has
// no room.
func (c *calls) time(name any, at time.Time) {
	if at.UnixMilli() > 0 {
		c.args = append(c.args, name, c.millis(at))
	}
}

func (c *calls) millis(at time.Time) *int64 { return c.number(at.UnixMilli()) }

// number keeps a number to point to: as an any it would be an allocation.
func (c *calls) number(n int64) *int64 {
	c.numbers = append(c.numbers, n)
	return &c.numbers[len(c.numbers)-1]
}
