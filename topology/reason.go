package topology

import "slices"

// Reason says why an event is where it is. The list is closed: the same word
// stands in the log line, the metric label, the delivery log and Redis.
type Reason string

// NoReason is the reason of statuses that need none: pending, sent.
const NoReason Reason = ""

// What each means, and which statuses it goes with, is in reasons.
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

	ReasonExternal Reason = "external"
)

// reasons is every reason but NoReason, in the order of the schema and the docs,
// with its meaning and the statuses that it goes with. Those with none are in
// dead letters only.
var reasons = []struct {
	Reason
	meaning  string
	statuses []Status
}{
	{ReasonInvalid, "the event breaks the contract: `detail` says where, its dead letter has the finer reason",
		[]Status{NotCovered}},
	{ReasonNotJSON, "the value is no JSON object", nil},
	{ReasonNotUTF8, "the value has bytes that are not UTF-8", nil},
	{ReasonNullValue, "the record has no value", nil},
	{ReasonTooDeep, "the JSON nests too deep", nil},
	{ReasonTooLarge, "the record is larger than the pipeline takes", nil},
	{ReasonMissingField, "a required field is absent or empty", nil},
	{ReasonWrongType, "a field has another JSON type than it must", nil},
	{ReasonBadValue, "a field's text is not of its form", nil},
	{ReasonBadID, "the id has forbidden characters or length", nil},
	{ReasonUnknownChannel, "there is no such channel", nil},
	{ReasonInternalError, "handling this record crashed: a defect in meddela", nil},
	{ReasonTopicRejected, "the topic that it was to be written to does not take the record", nil},
	{ReasonNoticeFailed, "a webhook did not take the notice of an outcome", nil},

	{ReasonNoTemplateForType, "no template covers the event's type", []Status{NotCovered}},
	{ReasonNoTemplateForChannel, "templates cover the type, none of them on this channel", []Status{NotCovered}},
	{ReasonConditionsFalse, "templates cover it, and the conditions of none hold", []Status{NotCovered}},
	{ReasonConditionFailed, "a template's condition cannot be evaluated on this event", []Status{NotCovered}},

	{ReasonScheduled, "not before the event's own time", []Status{PendingDelivery}},
	{ReasonQuiet, "it is night for its recipient", []Status{PendingDelivery}},
	{ReasonPaused, "an operator has paused its template, type, channel, provider or lane", []Status{PendingDelivery}},
	{ReasonTransient, "the provider failed for now; another attempt is planned", []Status{PendingDelivery}},

	{ReasonExpired, "its validity ended before it could be sent", []Status{Expired}},

	{ReasonMissingAddress, "the event has no address on its channel", []Status{Ignored}},
	{ReasonInvalidAddress, "the provider, or its protocol, does not take the address", []Status{Ignored}},
	{ReasonSuppressed, "the recipient must not be written to", []Status{Ignored}},
	{ReasonCapped, "the recipient has had as much as the channel's frequency cap allows", []Status{Ignored}},
	{ReasonKilled, "an operator has killed its template, type, channel, provider or lane", []Status{Ignored}},

	{ReasonTemplateMissing, "the version that was matched is not in the catalogue any more", []Status{DeliveryError}},
	{ReasonMissingData, "the template reads something that the event does not have", []Status{DeliveryError}},
	{ReasonRenderFailed, "the template failed on this event", []Status{DeliveryError}},
	{ReasonNoProvider, "no provider is configured for the channel", []Status{DeliveryError}},
	{ReasonRetriesExhausted, "every attempt failed for now, and no other is planned", []Status{DeliveryError}},
	{ReasonProviderRejected, "the provider said no for good", []Status{DeliveryError}},
	{ReasonProviderDown, "the provider could not be reached", []Status{PendingDelivery, DeliveryError}},
	{ReasonAmbiguous, "it may have been accepted, and must not be sent twice", []Status{DeliveryError}},

	{ReasonExternal, "another engine gave no reason of this list",
		[]Status{PendingDelivery, Ignored, Expired, DeliveryError}},
}

// Reasons lists every reason but NoReason.
func Reasons() []Reason {
	list := make([]Reason, len(reasons))
	for i, r := range reasons {
		list[i] = r.Reason
	}
	return list
}

// ReasonsOf lists the reasons that a status may have: NoReason alone where it
// needs none.
func ReasonsOf(s Status) (list []Reason) {
	for _, r := range reasons {
		if slices.Contains(r.statuses, s) {
			list = append(list, r.Reason)
		}
	}
	if len(list) == 0 {
		list = []Reason{NoReason}
	}
	return list
}

var knownReasons = func() map[Reason]bool {
	known := make(map[Reason]bool)
	for _, r := range Reasons() {
		known[r] = true
	}
	return known
}()

// known is r if it is of the list, and ReasonExternal if it is not. Statuses
// that say why need a reason.
func (r Reason) known(s Status) Reason {
	switch {
	case knownReasons[r]:
		return r
	case r == NoReason && (s == Pending || s == PendingDelivery || s == Sent):
		return r
	}
	return ReasonExternal
}
