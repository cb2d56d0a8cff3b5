package status

import (
	"strconv"
	"time"

	"github.com/meddela/meddela/topology"
)

// numbersPerState is the most numbers that one state's arguments point to.
const numbersPerState = 6

// Names of fields as arguments: made once, as an any of a string is an
// allocation each time.
var (
	rankName              any = topology.FieldRank
	statusName            any = topology.FieldStatus
	updatedAtName         any = topology.FieldUpdatedAt
	generationName        any = topology.FieldGeneration
	attemptName           any = topology.FieldAttempt
	reasonName            any = topology.FieldReason
	detailName            any = topology.FieldDetail
	templateName          any = topology.FieldTemplate
	providerName          any = topology.FieldProvider
	providerMessageIDName any = topology.FieldProviderMessageID
	finalAtName           any = topology.FieldFinalAt
	sourceName            any = topology.FieldSource
	laneName              any = topology.FieldLane
	typeName              any = topology.FieldType
	channelName           any = topology.FieldChannel
	pendingAtName         any = topology.FieldPendingAt
	pendingDeliveryAtName any = topology.FieldPendingDeliveryAt
	scheduledAtName       any = topology.FieldScheduledAt
)

// mostPairs is how many fields a state has.
const mostPairs = 18

// counts are numbers of arguments, as arguments.
var counts = func() (c [2*mostPairs + 1]any) {
	for i := range c {
		c[i] = i
	}
	return c
}()

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
	c.args[header] = counts[rest-first]
	c.args[header+1] = counts[len(c.args)-first]
	c.args[header+2] = lacking[missing]
}

// winner appends what the greatest rank brings, and returns the bits of what
// it lacks.
func (c *calls) winner(s *topology.State) (missing int) {
	updated := c.millis(s.UpdatedAt)
	c.args = append(c.args,
		rankName, (*string)(&s.Rank),
		statusName, (*string)(&s.Status),
		updatedAtName, updated,
		generationName, c.number(int64(s.Generation)),
		attemptName, c.number(int64(s.Attempt)),
	)
	missing |= c.text(reasonName, (*string)(&s.Reason), noReason)
	missing |= c.text(detailName, &s.Detail, noDetail)
	missing |= c.text(templateName, (*string)(&s.Template), noTemplate)
	missing |= c.text(providerName, &s.Provider, noProvider)
	missing |= c.text(providerMessageIDName, &s.ProviderMessageID, noProviderMessageID)
	if !s.Status.Final() {
		return missing | noFinalAt
	}
	c.args = append(c.args, finalAtName, updated)
	return missing
}

func (c *calls) identity(s *topology.State) {
	c.text(sourceName, (*string)(&s.Source), 0)
	c.text(laneName, (*string)(&s.Lane), 0)
	c.text(typeName, &s.Type, 0)
	c.text(channelName, (*string)(&s.Channel), 0)
}

func (c *calls) stages(s *topology.State) {
	c.time(pendingAtName, s.PendingAt)
	c.time(pendingDeliveryAtName, s.PendingDeliveryAt)
	c.time(scheduledAtName, s.Scheduled)
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
