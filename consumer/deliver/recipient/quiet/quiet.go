// Package quiet knows when it is night for a recipient.
package quiet

import (
	"cmp"
	"errors"
	"path"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // zones do not depend on the machine
)

// Hours are a time of each day, by the recipient's clock, in which nothing that
// can wait is sent. The zero value has none.
type Hours struct {
	from, to time.Duration // since midnight; to may be before from
	zone     *time.Location
}

// Parse reads a text such as "21:00-08:00 Europe/Stockholm", where the zone is
// that of recipients whose own is not known.
func Parse(text string) (Hours, error) {
	span, zone, _ := strings.Cut(text, " ")
	first, last, ok := strings.Cut(span, "-")
	from, err := time.Parse("15:04", first)
	to, err2 := time.Parse("15:04", last)
	if !ok || err != nil || err2 != nil || zone == "" {
		return Hours{}, errors.New("it must be of the form 21:00-08:00 Europe/Stockholm")
	}
	h := Hours{from: sinceMidnight(from), to: sinceMidnight(to)}
	if h.from == h.to {
		return Hours{}, errors.New("it begins and ends at the same time")
	}
	if h.zone = zoneOf(strings.TrimSpace(zone)); h.zone == nil {
		return Hours{}, errors.New("there is no such time zone: use a name such as Europe/Stockholm")
	}
	return h, nil
}

// Until reports whether it is night at a time, and when that ends. zone and country
// are the recipient's, if they are known: an IANA zone counts before a country
// that has one zone only, and that before the Hours' own.
func (h Hours) Until(now time.Time, zone, country string) (end time.Time, quiet bool) {
	if h.zone == nil {
		return time.Time{}, false
	}
	local := now.In(h.zoneFor(zone, country))
	clock := sinceMidnight(local)
	begun, over := clock >= h.from, clock >= h.to
	if !begun && over || h.from < h.to && (!begun || over) {
		return time.Time{}, false
	}
	days := 0
	if over {
		days = 1
	}
	end = time.Date(local.Year(), local.Month(), local.Day()+days, 0, int(h.to/time.Minute), 0, 0, local.Location())
	if !end.After(now) {
		// The clock was put back: this time comes twice, and this is the second.
		end = end.Add(time.Hour)
	}
	return end, true
}

func (h Hours) zoneFor(zone, country string) *time.Location {
	return cmp.Or(zoneOf(zone), zoneOf(onlyZones[strings.ToUpper(country)]), h.zone)
}

func sinceMidnight(t time.Time) time.Duration {
	return time.Duration(t.Hour()*3600+t.Minute()*60+t.Second()) * time.Second
}

// zones are those that were asked for. Their names may come from events, so what is
// no zone is not kept, and only the shortest path to one is its name.
var zones sync.Map // of *time.Location by name

// zoneOf is the zone of a name; nil for what is none. "Local" is no place where
// recipients live.
func zoneOf(name string) *time.Location {
	if name == "Local" || name != path.Clean(name) {
		return nil
	}
	if known, ok := zones.Load(name); ok {
		return known.(*time.Location)
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil
	}
	zones.Store(name, zone)
	return zone
}

// onlyZones are the zones of countries where one clock tells everybody's time.
var onlyZones = map[string]string{
	"AE": "Asia/Dubai", "AT": "Europe/Vienna", "BA": "Europe/Sarajevo", "BD": "Asia/Dhaka", "BE": "Europe/Brussels",
	"BG": "Europe/Sofia", "BO": "America/La_Paz", "CH": "Europe/Zurich", "CN": "Asia/Shanghai",
	"CO": "America/Bogota", "CR": "America/Costa_Rica", "CZ": "Europe/Prague", "DE": "Europe/Berlin",
	"DK": "Europe/Copenhagen", "DZ": "Africa/Algiers", "EE": "Europe/Tallinn", "EG": "Africa/Cairo",
	"ET": "Africa/Addis_Ababa", "FI": "Europe/Helsinki", "FR": "Europe/Paris", "GB": "Europe/London",
	"GE": "Asia/Tbilisi", "GH": "Africa/Accra", "GR": "Europe/Athens", "HK": "Asia/Hong_Kong", "HR": "Europe/Zagreb",
	"HU": "Europe/Budapest", "IE": "Europe/Dublin", "IL": "Asia/Jerusalem", "IN": "Asia/Kolkata",
	"IS": "Atlantic/Reykjavik", "IT": "Europe/Rome", "JP": "Asia/Tokyo", "KE": "Africa/Nairobi", "KR": "Asia/Seoul",
	"LK": "Asia/Colombo", "LT": "Europe/Vilnius", "LU": "Europe/Luxembourg", "LV": "Europe/Riga",
	"MA": "Africa/Casablanca", "MD": "Europe/Chisinau", "ME": "Europe/Podgorica", "MK": "Europe/Skopje",
	"MT": "Europe/Malta", "MY": "Asia/Kuala_Lumpur", "NG": "Africa/Lagos", "NL": "Europe/Amsterdam",
	"NO": "Europe/Oslo", "NP": "Asia/Kathmandu", "PE": "America/Lima", "PH": "Asia/Manila", "PK": "Asia/Karachi",
	"PL": "Europe/Warsaw", "QA": "Asia/Qatar", "RO": "Europe/Bucharest", "RS": "Europe/Belgrade",
	"SA": "Asia/Riyadh", "SE": "Europe/Stockholm", "SG": "Asia/Singapore", "SI": "Europe/Ljubljana",
	"SK": "Europe/Bratislava", "TH": "Asia/Bangkok", "TN": "Africa/Tunis", "TR": "Europe/Istanbul",
	"TW": "Asia/Taipei", "TZ": "Africa/Dar_es_Salaam", "UA": "Europe/Kyiv", "UG": "Africa/Kampala",
	"UY": "America/Montevideo", "VN": "Asia/Ho_Chi_Minh", "ZA": "Africa/Johannesburg", "ZW": "Africa/Harare",
}
