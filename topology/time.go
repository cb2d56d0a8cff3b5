package topology

import (
	"bytes"
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode"
)

const (
	timeWanted = "must be an RFC 3339 time such as 2026-12-01T08:00:00.000Z"

	hourEnd, secondEnd = len("2006-01-02T15"), len("2006-01-02T15:04:05")
)

// parseTime reads an RFC 3339 time of any offset. Empty text is the zero time.
func parseTime(text []byte) (t time.Time, ok bool) {
	if len(text) == 0 {
		return t, true
	}
	if err := t.UnmarshalText(text); err != nil || !isStrict(text) {
		return parseOddTime(text)
	}
	t = t.UTC()
	year := t.Year() // of times at the edges, UTC may need a fifth digit
	return t, 0 <= year && year <= 9999
}

// isStrict refuses what package time takes beside RFC 3339: an hour of one
// digit, a comma before the fraction, and offsets of a day or more.
func isStrict(text []byte) bool {
	if len(text) <= secondEnd || text[hourEnd] != ':' || text[secondEnd] == ',' {
		return false
	}
	if text[len(text)-1] == 'Z' {
		return true
	}
	offset := string(text[len(text)-len("07:00"):])
	return offset < "24" && offset[len("07:"):] < "60"
}

// parseOddTime reads what RFC 3339 has beside package time: letters in lower case, and leap
// seconds, each of which is the second after 23:59:59 UTC.
func parseOddTime(text []byte) (t time.Time, ok bool) {
	usual := bytes.ToUpper(text)
	isLeap := len(text) > secondEnd && string(text[secondEnd-len(":60"):secondEnd]) == ":60"
	if isLeap {
		copy(usual[secondEnd-len("60"):], "59")
	}
	if bytes.Equal(usual, text) {
		return t, false
	}
	if t, ok = parseTime(usual); isLeap {
		ok = ok && t.Hour() == 23 && t.Minute() == 59
		t = t.Add(time.Second)
	}
	return t, ok && t.Year() <= 9999
}

// timeForms are what people write for a time. Each group of it is what to change, by timeAdvice.
var timeForms = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(?:\d{4}-\d\d-\d\d(?:(?:[Tt]|( +|_))(?:\d\d|(\d)):\d\d(?::\d\d|())(?:\.\d+|(,\d+))?` +
		`(?:[Zz]|[+-]\d\d:\d\d|( +)(?:[Zz]|[+-]\d\d:\d\d)| ?([+-]\d[\d:]*)| ?(\[?[A-Za-z][\w/+-]*\]?)|())(\[.*\])?|())|(\d{8}(?:[Tt].*)?)|(-?\d{9,}[.\d]*))$`)
})

var timeAdvice = []string{
	"write T between date and time of day",
	"write the hour with two digits",
	"write the seconds too",
	"write a point before the fraction",
	"leave out the blank before the offset",
	"write the offset with a colon, such as +02:00",
	"write an offset such as +02:00 in place of the zone's name",
	"write the offset behind it: Z for UTC, or such as +02:00",
	"leave out the zone's name behind the offset",
	"write the time of day too",
	"write date and time of day with dashes and colons",
	timeIsNumber,
}

const timeIsNumber = "it is a number, as of seconds or milliseconds since 1970"

// timeFault says what is wrong with a text that is no time, and what to write instead.
func timeFault(text string) string {
	var wrong []string
	trimmed := strings.TrimFunc(text, func(r rune) bool { return IsUnseen(r) || unicode.IsSpace(r) })
	places := timeForms().FindStringSubmatchIndex(trimmed)
	for i, advice := range timeAdvice {
		if places != nil && places[2*i+2] >= 0 {
			wrong = append(wrong, advice)
		}
	}
	switch {
	case trimmed != text:
		wrong = append(wrong, "leave out the blanks and invisible characters around it")
	case places == nil:
		wrong = append(wrong, "it has another form")
	case wrong == nil:
		wrong = append(wrong, "there is no such day, time of day or offset")
	}
	return timeWanted + ": " + strings.Join(wrong, ", and ")
}
