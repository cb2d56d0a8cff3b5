package topology

// DecodeEvent reads the event in a record of a lane's events topic. Its error
// is a *Fault.
func DecodeEvent(r Record, lane Lane) (Event, error) {
	e := Event{ID: positionID(r, lane), Channel: Email, Raw: r.Value}
	d, err := newObjectReader(r.Value)
	if err != nil {
		return e, err
	}
	d.each(func(key string, v wireValue) {
		switch key {
		case "id":
			if id := EventID(d.text(key, v)); id.Valid() {
				e.ID = id
			} else {
				d.fail(ReasonBadID, key, badIDDetail)
			}
		case "type":
			e.Type = d.text(key, v)
		case "channel":
			e.Channel = Channel(d.text(key, v))
		case "email":
			e.To = d.text(key, v)
		case "language":
			e.Language = d.text(key, v)
		case "scheduled":
			e.Scheduled = d.time(key, v)
		case "expiration":
			e.Expiration = d.time(key, v)
		case "ctx":
			e.Ctx = d.raw(v)
		}
	})
	d.require("type", e.Type)
	d.require("ctx", string(e.Ctx))
	return e, d.fault()
}
