package topology

// member is one member of an event, and where it came from.
type member struct {
	v    wireValue
	name string
	from string // "", or what stands before the name in a fault: "data.", "ce_"
	bare bool   // v is the text itself, as in a header, without JSON's quotes
}

func (m *member) path() string { return m.from + m.name }

// eventMembers are the members of an event's object that mean something.
type eventMembers struct {
	id, kind                          member
	channel, wishedChannel            member
	email, mobilePhone, token         member
	language, country, timezone       member
	origin, externalID, correlationID member
	scheduled, expiration             member
	ctx                               member

	// Of a CloudEvent in structured mode.
	specVersion, source, data, dataBase64 member

	from string // given to the members that are kept
}

// keep notes a member if it means something.
func (m *eventMembers) keep(key []byte, v wireValue) {
	if slot, name := m.slot(key); slot != nil {
		slot.v, slot.name, slot.from = v, name, m.from
	}
}

func (m *eventMembers) slot(key []byte) (*member, string) {
	switch string(key) {
	case "id":
		return &m.id, "id"
	case "type":
		return &m.kind, "type"
	case "channel":
		return &m.channel, "channel"
	case "wishedChannel":
		return &m.wishedChannel, "wishedChannel"
	case "email":
		return &m.email, "email"
	case "mobilePhone":
		return &m.mobilePhone, "mobilePhone"
	case "registrationToken":
		return &m.token, "registrationToken"
	case "language":
		return &m.language, "language"
	case "country":
		return &m.country, "country"
	case "timezone":
		return &m.timezone, "timezone"
	case "origin":
		return &m.origin, "origin"
	case "externalId":
		return &m.externalID, "externalId"
	case "correlationId":
		return &m.correlationID, "correlationId"
	case "scheduled":
		return &m.scheduled, "scheduled"
	case "expiration":
		return &m.expiration, "expiration"
	case "ctx":
		return &m.ctx, "ctx"
	case "specversion":
		return &m.specVersion, "specversion"
	case "source":
		return &m.source, "source"
	case "data":
		return &m.data, "data"
	case "data_base64":
		return &m.dataBase64, "data_base64"
	}
	return nil, ""
}

// textBytes is how much the texts of an event need at most.
func (m *eventMembers) textBytes() int {
	return len(m.id.v) + len(m.kind.v) + len(m.channel.v) +
		max(len(m.email.v), len(m.mobilePhone.v), len(m.token.v)) +
		len(m.language.v) + len(m.country.v) + len(m.timezone.v) +
		len(m.origin.v) + len(m.externalID.v) + len(m.correlationID.v)
}
