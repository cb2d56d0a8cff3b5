package topology

import "slices"

// Reason says why an event is where it is. The list is closed: the same word
// stands in the log line, the metric label, the delivery log and Redis.
type Reason string

// NoReason is the reason of statuses that need none: pending, sent.
const NoReason Reason = ""

// What each means is in docs/statuses.md.
const (
	ReasonInvalid        Reason = "invalid"
	ReasonNotJSON        Reason = "not_json"
	ReasonNotUTF8        Reason = "not_utf8"
	ReasonNullValue      Reason = "null_value"
	ReasonTooDeep        Reason = "too_deep"
	ReasonTooLarge       Reason = "too_large"
	ReasonMissingField   Reason = "missing_field"
	ReasonWrongType      Reason = "wrong_type"
	ReasonBadValue       Reason = "bad_value"
	ReasonBadID          Reason = "bad_id"
	ReasonUnknownChannel Reason = "unknown_channel"
	ReasonInternalError  Reason = "internal_error"
	ReasonTopicRejected  Reason = "topic_rejected"
	ReasonNoticeFailed   Reason = "notice_failed"

	ReasonNoTemplateForType    Reason = "no_template_for_type"
	ReasonNoTemplateForChannel Reason = "no_template_for_channel"
	ReasonConditionsFalse      Reason = "conditions_false"
	ReasonConditionFailed      Reason = "condition_failed"

	ReasonScheduled Reason = "scheduled"
	ReasonQuiet     Reason = "quiet_hours"
	ReasonPaused    Reason = "paused"
	ReasonTransient Reason = "transient"

	ReasonExpired Reason = "expired"

	ReasonMissingAddress Reason = "missing_address"
	ReasonInvalidAddress Reason = "invalid_address"
	ReasonSuppressed     Reason = "suppressed"
	ReasonCapped         Reason = "capped"
	ReasonKilled         Reason = "killed"

	ReasonTemplateMissing  Reason = "template_missing"
	ReasonMissingData      Reason = "missing_data"
	ReasonRenderFailed     Reason = "render_failed"
	ReasonNoProvider       Reason = "no_provider"
	ReasonRetriesExhausted Reason = "retries_exhausted"
	ReasonProviderRejected Reason = "provider_rejected"
	ReasonProviderDown     Reason = "provider_down"
	ReasonAmbiguous        Reason = "ambiguous"
	ReasonBounced          Reason = "bounced"

	ReasonExternal Reason = "external"
)

// reasons is every reason but NoReason, in the order of the schema, with the
// statuses that it goes with. Those with none are in dead letters only.
var reasons = []struct {
	statuses []Status
	reasons  []Reason
}{
	{[]Status{NotCovered}, []Reason{ReasonInvalid}},
	{nil, []Reason{ReasonNotJSON, ReasonNotUTF8, ReasonNullValue, ReasonTooDeep, ReasonTooLarge, ReasonMissingField,
		ReasonWrongType, ReasonBadValue, ReasonBadID, ReasonUnknownChannel}},
	{[]Status{NotCovered, DeliveryError}, []Reason{ReasonInternalError}},
	{[]Status{DeliveryError}, []Reason{ReasonTopicRejected}},
	{nil, []Reason{ReasonNoticeFailed}},
	{[]Status{NotCovered}, []Reason{ReasonNoTemplateForType, ReasonNoTemplateForChannel, ReasonConditionsFalse,
		ReasonConditionFailed}},
	{[]Status{PendingDelivery}, []Reason{ReasonScheduled, ReasonQuiet, ReasonPaused, ReasonTransient}},
	{[]Status{Expired}, []Reason{ReasonExpired}},
	{[]Status{Ignored}, []Reason{ReasonMissingAddress, ReasonInvalidAddress, ReasonSuppressed, ReasonCapped,
		ReasonKilled}},
	{[]Status{DeliveryError}, []Reason{ReasonTemplateMissing, ReasonMissingData, ReasonRenderFailed, ReasonNoProvider,
		ReasonRetriesExhausted, ReasonProviderRejected}},
	{[]Status{PendingDelivery, DeliveryError}, []Reason{ReasonProviderDown}},
	{[]Status{DeliveryError}, []Reason{ReasonAmbiguous, ReasonBounced}},
	{[]Status{PendingDelivery, Ignored, Expired, DeliveryError}, []Reason{ReasonExternal}},
}

// Reasons lists every reason but NoReason.
func Reasons() (list []Reason) {
	for _, r := range reasons {
		list = append(list, r.reasons...)
	}
	return list
}

// ReasonsOf lists the reasons that a status may have: NoReason first where it needs none.
func ReasonsOf(s Status) (list []Reason) {
	if s.needsNoReason() {
		list = append(list, NoReason)
	}
	for _, r := range reasons {
		if slices.Contains(r.statuses, s) {
			list = append(list, r.reasons...)
		}
	}
	return list
}

func (s Status) needsNoReason() bool { return s == Pending || s == PendingDelivery || s == Sent }

// known is r if it is of the list, and ReasonExternal if it is not. Statuses
// that say why need a reason.
func (r Reason) known(s Status) Reason {
	if r == NoReason && s.needsNoReason() {
		return r
	}
	for i := range reasons {
		if slices.Contains(reasons[i].reasons, r) {
			return r
		}
	}
	return ReasonExternal
}

// Fault says what is wrong with a record: the reason, where, and what to do.
type Fault struct {
	Reason Reason `json:"reason"`
	Field  string `json:"field,omitempty"` // the path in the record; empty for the record itself
	Detail string `json:"detail"`          // what is wrong, without the record's own text
}

func (f *Fault) Error() string {
	if f.Field == "" {
		return f.Detail
	}
	return f.Field + ": " + f.Detail
}
