package topology

// Reason says why an event is where it is. The list is closed: the same word
// stands in the log line, the metric label, the delivery log and Redis.
type Reason string

const (
	// NoReason is the reason of statuses that need none: pending, sent.
	NoReason Reason = ""

	// Why a record could not be read. With a readable id the event is
	// not_covered with reason invalid; the dead letter names the finer cause.
	ReasonInvalid        Reason = "invalid"         // the event breaks the contract; detail says where
	ReasonNotJSON        Reason = "not_json"        // the value is no JSON object
	ReasonNotUTF8        Reason = "not_utf8"        // the value has bytes that are not UTF-8
	ReasonNullValue      Reason = "null_value"      // the record has no value
	ReasonTooDeep        Reason = "too_deep"        // the JSON nests deeper than MaxDepth
	ReasonTooLarge       Reason = "too_large"       // the record is larger than the pipeline takes
	ReasonMissingField   Reason = "missing_field"   // a required field is absent or empty
	ReasonWrongType      Reason = "wrong_type"      // a field has another JSON type than it must
	ReasonBadValue       Reason = "bad_value"       // a field's text is not of its form
	ReasonBadID          Reason = "bad_id"          // the id has forbidden characters or length
	ReasonUnknownChannel Reason = "unknown_channel" // no such channel
	ReasonMissingAddress Reason = "missing_address" // the channel's address field is absent
	ReasonInternalError  Reason = "internal_error"  // handling this record crashed: a defect in meddela
	ReasonTopicRejected  Reason = "topic_rejected"  // the target topic does not take the record

	// Why no template was linked.
	ReasonNoTemplateForType    Reason = "no_template_for_type"
	ReasonNoTemplateForChannel Reason = "no_template_for_channel"
	ReasonConditionsFalse      Reason = "conditions_false" // there are templates for it, and the conditions of none hold
	ReasonConditionFailed      Reason = "condition_failed" // a template's condition cannot be evaluated on this event

	// Why a job waits.
	ReasonScheduled Reason = "scheduled"   // not before the event's own time
	ReasonQuiet     Reason = "quiet_hours" // it is night for its recipient
	ReasonPaused    Reason = "paused"      // an operator has paused its template, type, channel, provider or lane

	// Why a job was not delivered.
	ReasonExpired          Reason = "expired"           // its validity ended before it could be sent
	ReasonTemplateMissing  Reason = "template_missing"  // the matched version is not in the catalogue any more
	ReasonMissingData      Reason = "missing_data"      // the template reads a path that the event does not have
	ReasonRenderFailed     Reason = "render_failed"     // the template failed on this event
	ReasonNoProvider       Reason = "no_provider"       // nothing is configured for the channel
	ReasonInvalidAddress   Reason = "invalid_address"   // the provider, or its protocol, does not take the address
	ReasonSuppressed       Reason = "suppressed"        // the recipient must not be written to
	ReasonCapped           Reason = "capped"            // the recipient has had as much of the channel as may be in its window
	ReasonKilled           Reason = "killed"            // an operator has stopped its template, type, channel, provider or lane for good
	ReasonTransient        Reason = "transient"         // the provider failed for now; it will be tried again
	ReasonRetriesExhausted Reason = "retries_exhausted" // every try failed for now
	ReasonProviderRejected Reason = "provider_rejected" // the provider said no for good
	ReasonProviderDown     Reason = "provider_down"     // the provider could not be reached
	ReasonAmbiguous        Reason = "ambiguous"         // it may have been accepted, and must not be sent twice
	ReasonNoticeFailed     Reason = "notice_failed"     // a receiver of notices did not take one
	ReasonExternal         Reason = "external"          // another engine's entry gave no reason of this list
)

// Reasons lists every reason but NoReason.
func Reasons() []Reason {
	return []Reason{
		ReasonInvalid, ReasonNotJSON, ReasonNotUTF8, ReasonNullValue, ReasonTooDeep, ReasonTooLarge,
		ReasonMissingField, ReasonWrongType, ReasonBadValue, ReasonBadID, ReasonUnknownChannel,
		ReasonMissingAddress, ReasonInternalError, ReasonTopicRejected,
		ReasonNoTemplateForType, ReasonNoTemplateForChannel, ReasonConditionsFalse, ReasonConditionFailed,
		ReasonScheduled, ReasonQuiet, ReasonPaused,
		ReasonExpired, ReasonTemplateMissing, ReasonMissingData, ReasonRenderFailed, ReasonNoProvider,
		ReasonInvalidAddress, ReasonSuppressed, ReasonCapped, ReasonKilled, ReasonTransient, ReasonRetriesExhausted,
		ReasonProviderRejected, ReasonProviderDown, ReasonAmbiguous, ReasonNoticeFailed, ReasonExternal,
	}
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
