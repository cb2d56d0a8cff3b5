package topology

import (
	"strings"
	"time"
)

// TemplateRecord is one version of a template on the templates topic, keyed
// by its Ref. It is read rarely, so its wire form is plain encoding/json.
//
// Of the versions of a name the one published last decides which events the
// template covers; the others are kept for the jobs that were made with them.
type TemplateRecord struct {
	Name            string   `json:"name"`
	Version         string   `json:"version"` // the hash of everything but itself, Retired and PublishedAt
	Types           []string `json:"types"`   // event types that it covers
	Channel         Channel  `json:"channel"`
	DefaultLanguage string   `json:"default_language"`
	// Bodies by language, then by part ("email.subject", "sms.txt", …).
	Bodies map[string]map[string]string `json:"bodies"`
	// Partials are shared pieces that bodies include, by name.
	Partials map[string]string `json:"partials,omitempty"`

	When        string   `json:"when,omitempty"`
	TTL         Duration `json:"ttl,omitempty"` // how long after receipt a message is still worth sending
	Urgent      bool     `json:"urgent,omitempty"`
	OnAmbiguous string   `json:"on_ambiguous,omitempty"` // ResendAmbiguous or HoldAmbiguous
	URL         string   `json:"url,omitempty"`          // the target of channel webhook
	// Retry are the waits before further attempts; nil for those of the role,
	// and empty for none.
	Retry []Duration `json:"retry,omitzero"`
	// MaxParts is how many parts an SMS may take at most; 0 for any number.
	MaxParts int `json:"max_parts,omitempty"`
	// QuietHours is a time of the recipient's day in which messages wait, such as
	// "21:00-08:00 Europe/Stockholm".
	QuietHours string `json:"quiet_hours,omitempty"`

	// Retired says that the template covers no events any more. The version is
	// still there for the jobs that were made with it.
	Retired     bool      `json:"retired,omitempty"`
	PublishedAt time.Time `json:"published_at"`
}

// What a template may say of a message that was perhaps sent already.
const (
	ResendAmbiguous = "resend" // it is sent again, under the same id; the default
	HoldAmbiguous   = "hold"   // it is not, and is a delivery error
)

// Ref is the record's key.
func (t *TemplateRecord) Ref() TemplateRef { return TemplateRef(t.Name + "@" + t.Version) }

// Split returns the name and the version of a reference; the version is what
// follows the last "@".
func (r TemplateRef) Split() (name, version string) {
	at := strings.LastIndexByte(string(r), '@')
	if at < 0 {
		return string(r), ""
	}
	return string(r[:at]), string(r[at+1:])
}

// Duration is a time.Duration whose wire form is text such as "90s" or "24h".
type Duration time.Duration

// MarshalText writes the duration as Go does, such as 1h30m0s.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads what [time.ParseDuration] reads.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	*d = Duration(parsed)
	return err
}

// DecodeTemplate reads a template record's wire form. Its error is a *Fault.
func DecodeTemplate(value []byte) (TemplateRecord, error) {
	var t TemplateRecord
	if f := unmarshal(value, &t); f != nil {
		return TemplateRecord{}, f
	}
	var d objectReader
	d.require("name", t.Name)
	d.require("version", t.Version)
	d.require("channel", string(t.Channel))
	d.checkChannel("channel", t.Channel)
	return t, d.fault()
}

// Append appends the record's wire form to b.
func (t *TemplateRecord) Append(b []byte) []byte {
	type plain TemplateRecord
	return marshal(b, struct {
		*plain
		PublishedAt wireTime `json:"published_at"` // in the wire's form, instead of plain's
	}{(*plain)(t), wireTime(t.PublishedAt)})
}
