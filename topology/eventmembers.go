package topology

// member is one member of a record, and where it came from.
type member struct {
	v    wireValue
	from string // "", or what stands before the name in a fault: "data.", "ce_"
	bare bool   // v is the text itself, as in a header, without JSON's quotes
}

// eventMembers are the members of an event's object that mean something.
type eventMembers struct {
	id, kind                          member
	channel, wishedChannel            member
	email, mobilePhone, token         member
	language, country, timezone       member
	origin, externalID, correlationID member
	scheduled, expiration             member
	ctx                               member

	// Of a CloudEvent.
	specVersion, source, data, dataBase64 member
	hasSource                             bool // id is unique within source
}

func (m *eventMembers) fields() [20]field {
	return [...]field{
		{"id", &m.id, 0},
		{"type", &m.kind, 0},
		{"channel", &m.channel, 0},
		{"wishedChannel", &m.wishedChannel, 0},
		{"email", &m.email, 0},
		{"mobilePhone", &m.mobilePhone, 0},
		{"registrationToken", &m.token, 0},
		{"language", &m.language, 0},
		{"country", &m.country, 0},
		{"timezone", &m.timezone, 0},
		{"origin", &m.origin, 0},
		{"externalId", &m.externalID, 0},
		{"correlationId", &m.correlationID, 0},
		{"scheduled", &m.scheduled, 0},
		{"expiration", &m.expiration, 0},
		{"ctx", &m.ctx, 0},
		{"specversion", &m.specVersion, 0},
		{"source", &m.source, 0},
		{"data", &m.data, 0},
		{"data_base64", &m.dataBase64, 0},
	}
}

// textBytes is how much the texts of an event need at most.
func (m *eventMembers) textBytes() int {
	return len(m.id.v) + len(m.source.v) + len(m.kind.v) + len(m.channel.v) +
		max(len(m.email.v), len(m.mobilePhone.v), len(m.token.v)) +
		len(m.language.v) + len(m.country.v) + len(m.timezone.v) +
		len(m.origin.v) + len(m.externalID.v) + len(m.correlationID.v)
}
