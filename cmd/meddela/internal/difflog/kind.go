package difflog

// Kind is the way in which an event's outcome changes. An event has one: the
// first of those that hold, in the order of Kinds.
type Kind string

const (
	// NewlyFailing events cannot be rendered: they lack data that the proposed
	// template reads, or it fails on them.
	NewlyFailing Kind = "newly_failing"
	// NoLongerCovered events have no template any more.
	NoLongerCovered Kind = "no_longer_covered"
	// NewlyCovered events had no template.
	NewlyCovered Kind = "newly_covered"
	// OtherReason is of events that have no template either way, for another
	// reason.
	OtherReason Kind = "other_reason"
	// NewlyExpired events would have come too late on arrival.
	NewlyExpired Kind = "newly_expired"
	// NoLongerExpired events came too late on arrival.
	NoLongerExpired Kind = "no_longer_expired"
	// NoLongerFailing events could not be rendered.
	NoLongerFailing Kind = "no_longer_failing"
	// FailingOtherwise events cannot be rendered either way, for another cause.
	FailingOtherwise Kind = "failing_otherwise"
	// OtherTemplate is of events that another template is chosen for.
	OtherTemplate Kind = "other_template"
	// OtherLanguage is of events that the same template has another language
	// for.
	OtherLanguage Kind = "other_language"
	// OtherText is of events whose message, or where it is sent, differs.
	OtherText Kind = "other_text"
	// OtherExpiry is of events whose message is worth sending for longer, or
	// for less long.
	OtherExpiry Kind = "other_expiry"
)

// unchanged is the Kind of no change.
const unchanged Kind = ""

// Kinds lists every kind, what needs looking at first.
func Kinds() []Kind {
	return []Kind{
		NewlyFailing, NoLongerCovered, NewlyCovered, OtherReason, NewlyExpired, NoLongerExpired,
		NoLongerFailing, FailingOtherwise, OtherTemplate, OtherLanguage, OtherText, OtherExpiry,
	}
}

// kindOf tells how two outcomes of an event differ; otherText, whether their
// messages do.
func kindOf(live, proposed *outcome, otherText bool) Kind {
	l, p := &live.decision, &proposed.decision
	switch {
	case proposed.failure != nil && live.failure == nil:
		return NewlyFailing
	case live.covered() && !proposed.covered():
		return NoLongerCovered
	case !live.covered() && proposed.covered():
		return NewlyCovered
	case !live.covered():
		return when(l.Reason != p.Reason, OtherReason)
	case !live.expired() && proposed.expired():
		return NewlyExpired
	case live.expired() && !proposed.expired():
		return NoLongerExpired
	case live.failure != nil && proposed.failure == nil:
		return NoLongerFailing
	case live.failure != nil:
		return when(live.name() != proposed.name() || live.cause() != proposed.cause(), FailingOtherwise)
	case live.name() != proposed.name():
		return OtherTemplate
	case l.Language != p.Language:
		return OtherLanguage
	case otherText:
		return OtherText
	}
	return when(!l.Expires.Equal(p.Expires), OtherExpiry)
}

func when(holds bool, k Kind) Kind {
	if holds {
		return k
	}
	return unchanged
}
