package template

import (
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // zones in an image that has none

	"github.com/meddela/meddela/consumer/template/locale"
)

const (
	errNoTime    = misuse("a date was given that is not a time such as 2026-12-01T08:00:00Z, nor a day such as 2026-12-01")
	errNoHour    = misuse("a time of day was asked for, of a day such as 2026-12-01")
	errNoStyle   = misuse("the style of a date is short, medium, long or full, or a layout such as 2 January 2006")
	errTimeStyle = misuse("the style of a time is short or medium, or a layout such as 15:04")
	errNoZone    = misuse("a zone is one name such as Europe/Stockholm or UTC")
)

// date writes the day of a time, in a style of the language or a layout of Go's
// time package.
func (l localized) date(style string, v any, zone ...string) (string, error) {
	t, day, err := parseTime(v, zone)
	if err != nil {
		return "", err
	}
	if s, ok := locale.StyleOf(style); ok {
		return l.written(l.locale.Date(t, s))
	}
	if day && hasHour(style) {
		return "", errNoHour
	}
	return l.layout(style, t, errNoStyle)
}

// time writes the time of day of a time.
func (l localized) time(style string, v any, zone ...string) (string, error) {
	t, day, err := parseTime(v, zone)
	switch s, ok := locale.StyleOf(style); {
	case err != nil:
		return "", err
	case day:
		return "", errNoHour
	case ok && (s == locale.Short || s == locale.Medium):
		return l.written(l.locale.Time(t, s))
	case ok:
		return "", errTimeStyle
	}
	return l.layout(style, t, errTimeStyle)
}

// datetime writes a day and the time of day, without its seconds.
func (l localized) datetime(style string, v any, zone ...string) (string, error) {
	t, day, err := parseTime(v, zone)
	switch s, ok := locale.StyleOf(style); {
	case err != nil:
		return "", err
	case day:
		return "", errNoHour
	case ok:
		return l.written(l.locale.DateTime(t, s))
	}
	return l.layout(style, t, errNoStyle)
}

func (l localized) layout(layout string, t time.Time, wrong misuse) (string, error) {
	if len(layout) > maxLayout || !locale.IsLayout(layout) {
		return "", wrong
	}
	return l.written(l.locale.Layout(t, layout))
}

// maxLayout is the greatest length of a layout, in bytes.
const maxLayout = 1000

// hasHour tells whether a layout writes a time of day.
func hasHour(layout string) bool {
	midnight := time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)
	return midnight.Format(layout) != midnight.Add(13*time.Hour+7*time.Minute+9*time.Second).Format(layout)
}

// parseTime reads a time and puts it in a zone: that of the argument, or else
// the offset that the time was sent with. A day is the same in every zone.
func parseTime(v any, zone []string) (t time.Time, day bool, err error) {
	s, ok := v.(string)
	if !ok {
		return t, false, errNoTime
	}
	in, err := zoneOf(zone)
	if err != nil {
		return t, false, err
	}
	if len(s) == len(time.DateOnly) {
		if t, err = time.Parse(time.DateOnly, s); err == nil {
			return t, true, nil
		}
	}
	if t, err = time.Parse(time.RFC3339Nano, s); err != nil || t.Year() < 1 {
		return t, false, errNoTime
	}
	if in != nil {
		t = t.In(in)
	}
	return t, false, nil
}

// zones are those that were asked for, by name.
var zones sync.Map

// zoneOf returns the zone that a function was given; nil for none.
func zoneOf(names []string) (*time.Location, error) {
	if len(names) == 0 {
		return nil, nil
	}
	name := names[0]
	if len(names) > 1 || !plausibleZone(name) {
		return nil, errNoZone
	}
	if known, ok := zones.Load(name); ok {
		return known.(*time.Location), nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, errNoZone
	}
	zones.Store(name, zone)
	return zone, nil
}

// plausibleZone keeps names from the file system that are none: zones are named
// like Europe/Stockholm or UTC, and the machine's own is nobody's.
func plausibleZone(name string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	return name != "" && len(name) <= 64 && 'A' <= name[0] && name[0] <= 'Z' && name != "Local" && strings.Trim(name, letters+"0123456789/_+-") == ""
}
