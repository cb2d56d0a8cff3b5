package template

import (
	"encoding/json"
	"strconv"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // zones in an image that has none
	"unicode"

	"github.com/rivo/uniseg"

	"github.com/meddela/meddela/consumer/template/locale"
)

// localized are the functions that know the language of the body that they are
// in, and the kind of part.
type localized struct {
	locale *locale.Locale
	// sms is for texts of which every character counts: what is written by
	// the functions stays within the alphabet that SMS fits more of.
	sms     bool
	turkish bool
}

func newLocalized(language, part string) localized {
	l := localized{locale: locale.For(language), sms: part == SMSText}
	l.turkish = strings.HasPrefix(l.locale.Name(), "tr") || strings.HasPrefix(l.locale.Name(), "az")
	return l
}

// localFunctions are those of localized, by the names that templates call
// them by.
var localFunctions = map[string]func(localized) any{
	"upper":    func(l localized) any { return l.cased(strings.ToUpper, strings.ToUpperSpecial) },
	"lower":    func(l localized) any { return l.cased(strings.ToLower, strings.ToLowerSpecial) },
	"date":     func(l localized) any { return l.date },
	"time":     func(l localized) any { return l.time },
	"datetime": func(l localized) any { return l.datetime },
	"number":   func(l localized) any { return l.number },
	"percent":  func(l localized) any { return l.percent },
	"currency": func(l localized) any { return l.currency },
	"plural":   func(l localized) any { return l.plural },
	"truncate": func(l localized) any { return l.truncate },
}

var plainSigns = strings.NewReplacer("\u00a0", " ", "\u202f", " ", "\u2009", " ", "\u2212", "-")

// written is how the part has what the locale writes.
func (l localized) written(s string) (string, error) {
	if l.sms {
		s = plainSigns.Replace(s)
	}
	return bounded(s)
}

// cased is a function that changes a text to upper or lower case.
func (l localized) cased(
	usual func(string) string, special func(unicode.SpecialCase, string) string,
) func(any) (string, error) {
	return func(v any) (string, error) {
		s, err := text(v)
		if err != nil {
			return "", err
		}
		if l.turkish {
			return bounded(special(unicode.TurkishCase, s))
		}
		return bounded(usual(s))
	}
}

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
	return l.moment(style, v, zone, (*locale.Locale).Date, errNoStyle, false)
}

// time writes the time of day of a time.
func (l localized) time(style string, v any, zone ...string) (string, error) {
	if s, ok := locale.StyleOf(style); ok && s != locale.Short && s != locale.Medium {
		return "", errTimeStyle
	}
	return l.moment(style, v, zone, (*locale.Locale).Time, errTimeStyle, true)
}

// datetime writes a day and the time of day, without its seconds.
func (l localized) datetime(style string, v any, zone ...string) (string, error) {
	return l.moment(style, v, zone, (*locale.Locale).DateTime, errNoStyle, true)
}

// moment writes a time by write where the style is one of the language, and else
// by the layout. Where it needs the time of day, a day alone will not do.
func (l localized) moment(
	style string, v any, zone []string, write func(*locale.Locale, time.Time, locale.Style) string, wrong misuse,
	needsHour bool,
) (string, error) {
	t, day, err := parseTime(v, zone)
	known, isStyle := locale.StyleOf(style)
	switch {
	case err != nil:
		return "", err
	case day && (needsHour || !isStyle && hasHour(style)):
		return "", errNoHour
	case isStyle:
		return l.written(write(l.locale, t, known))
	case len(style) > maxLayout || !locale.IsLayout(style):
		return "", wrong
	}
	return l.written(l.locale.Layout(t, style))
}

// maxLayout is the greatest length of a layout, in bytes.
const maxLayout = 1000

// hasHour reports whether a layout writes a time of day.
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
	return name != "" && len(name) <= 64 && 'A' <= name[0] && name[0] <= 'Z' && name != "Local" &&
		strings.Trim(name, letters+"0123456789/_+-") == ""
}

const (
	errNoNumber   = misuse("a number was given that is not plain, such as 1249.50, or has over 100 digits")
	errNoDecimals = misuse("the number of decimals is one of 0 to 20")
	errNoCurrency = misuse("a currency is an ISO 4217 code such as EUR")
)

// toDecimal reads a number, or a text that is one, without going through a
// float: 129.90 is exactly that.
func toDecimal(v any) (locale.Decimal, error) {
	var s string
	switch v := v.(type) {
	case string:
		s = v
	case json.Number:
		s = string(v)
	case int:
		s = strconv.Itoa(v)
	case int64:
		s = strconv.FormatInt(v, 10)
	case float64:
		s = strconv.FormatFloat(v, 'f', -1, 64)
	}
	d, ok := locale.ParseDecimal(s)
	if !ok {
		return d, errNoNumber
	}
	return d, nil
}

// rounded reads a number, and gives it as many decimals as asked for, and some
// more.
func rounded(v any, more int, decimals []any) (locale.Decimal, error) {
	d, err := toDecimal(v)
	if err != nil || len(decimals) == 0 {
		return d, err
	}
	n, ok := toNumber(decimals[0])
	if len(decimals) > 1 || !ok || !n.whole || n.int < 0 || n.int > 20 {
		return d, errNoDecimals
	}
	return d.Round(int(n.int) + more), nil
}

// number writes a number with its own decimals, or with exactly as many as
// asked for.
func (l localized) number(v any, decimals ...any) (string, error) {
	d, err := rounded(v, 0, decimals)
	if err != nil {
		return "", err
	}
	return l.written(l.locale.Number(d))
}

// percent writes a share, of which 1 is the whole.
func (l localized) percent(v any, decimals ...any) (string, error) {
	d, err := rounded(v, 2, decimals)
	if err != nil {
		return "", err
	}
	return l.written(l.locale.Percent(d))
}

// currency writes an amount of money. What upstream has not sent as a plain
// number and an ISO code is written as it was sent: an amount such as
// "1 249,00" with "kr" needs no help to be understood.
func (l localized) currency(code string, v any) (string, error) {
	sent, err := text(v)
	switch {
	case err != nil:
		return "", err
	case code == "":
		return "", errNoCurrency
	case sent == "":
		return "", errNoNumber
	}
	if d, err := toDecimal(v); err == nil && len(code) == 3 {
		if s, ok := l.locale.Currency(d, strings.ToUpper(code)); ok {
			return l.written(s)
		}
	}
	return bounded(sent + " " + code)
}

const (
	errPluralForms = misuse("plural takes a count, then pairs of a form and its text, of which one is other")
	errNoForm      = misuse("the form of a plural is zero, one, two, few, many or other, or a number such as =0")
)

// plural picks the text for a count: that of the exact number, such as =0, or
// else of the language's form for it, or else other. In the text # is the
// count; ## is a #.
func (l localized) plural(count any, forms ...any) (string, error) {
	d, err := toDecimal(count)
	switch {
	case err != nil:
		return "", err
	case len(forms)%2 != 0:
		return "", errPluralForms
	}
	picked, best := any(nil), notPicked
	wanted := l.locale.Plural(d)
	for i := 0; i < len(forms); i += 2 {
		form, ok := forms[i].(string)
		if !ok || !isForm(form) {
			return "", errNoForm
		}
		if rank := rankForm(form, d, wanted); rank > best {
			picked, best = forms[i+1], rank
		}
	}
	if best == notPicked {
		return "", errPluralForms
	}
	s, err := text(picked)
	if err != nil {
		return "", err
	}
	n := l.locale.Number(d)
	if len(s)+strings.Count(s, "#")*len(n) > MaxPartBytes {
		return "", errTooLarge
	}
	return l.written(strings.NewReplacer("##", "#", "#", n).Replace(s))
}

// How well a form fits a count.
const (
	notPicked = iota
	fitsAll
	fitsCategory
	fitsExactly
)

func rankForm(form string, count locale.Decimal, wanted locale.Category) int {
	exact, isExact := strings.CutPrefix(form, "=")
	n, _ := locale.ParseDecimal(exact)
	switch {
	case isExact && n.Equal(count):
		return fitsExactly
	case isExact:
		return notPicked
	case locale.Category(form) == wanted:
		return fitsCategory
	case locale.Category(form) == locale.Other:
		return fitsAll
	}
	return notPicked
}

func isForm(s string) bool {
	if exact, ok := strings.CutPrefix(s, "="); ok {
		_, ok = locale.ParseDecimal(exact)
		return ok
	}
	return locale.IsCategory(s)
}

const errNoLength = misuse("the length of a truncated text is one of 1 to 10000")

const (
	maxTruncated = 10_000
	// maxCluster is the greatest size in bytes of what counts as one
	// character. The longest emoji have under 50; what is longer is a letter
	// buried under marks.
	maxCluster = 256
)

// truncate shortens a text to so many characters as people see them, a mark of
// omission among them. It does not cut within a character.
func (l localized) truncate(n, v any) (string, error) {
	length, ok := toNumber(n)
	if !ok || !length.whole || length.int < 1 || length.int > maxTruncated {
		return "", errNoLength
	}
	s, err := text(v)
	if err != nil {
		return "", err
	}
	mark, width := "…", 1
	if l.sms {
		mark, width = "...", 3
	}
	limit := int(length.int)
	if len(s) <= limit {
		return s, nil
	}
	if limit <= width {
		mark, width = "", 0
	}
	return shorten(s, limit, limit-width, mark), nil
}

// shorten keeps a text of at most limit characters, and of a longer one as many
// as kept, followed by the mark.
func shorten(s string, limit, kept int, mark string) string {
	cut := 0
	rest := s
	for count := 0; rest != ""; count++ {
		if count == kept {
			cut = len(s) - len(rest)
		}
		first, _, _, _ := uniseg.FirstGraphemeClusterInString(rest[:min(len(rest), maxCluster+8)], -1)
		if count == limit || len(first) > maxCluster {
			if count < kept {
				cut = len(s) - len(rest)
			}
			return strings.TrimSpace(s[:cut]) + mark
		}
		rest = rest[len(first):]
	}
	return s
}
