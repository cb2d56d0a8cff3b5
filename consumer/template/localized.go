package template

import (
	"cmp"
	"regexp"
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
	letters unicode.SpecialCase // those that change case in a way of their own
}

func newLocalized(language, part string) localized {
	l := localized{locale: locale.For(language), sms: part == SMSText}
	if name := l.locale.Name(); strings.HasPrefix(name, "tr") || strings.HasPrefix(name, "az") {
		l.letters = unicode.TurkishCase
	}
	return l
}

var plainSigns = strings.NewReplacer("\u00a0", " ", "\u202f", " ", "\u2009", " ", "\u2212", "-")

// written is how the part has what the locale writes.
func (l localized) written(s string) value {
	if l.sms {
		s = plainSigns.Replace(s)
	}
	return bounded(s)
}

func (l localized) upper(s string) string { return strings.Map(l.letters.ToUpper, s) }
func (l localized) lower(s string) string { return strings.Map(l.letters.ToLower, s) }

const (
	errNoTime    = misuse("a date was given that is not a time such as 2026-12-01T08:00:00Z, nor a day such as 2026-12-01")
	errNoHour    = misuse("a time of day was asked for, of a day such as 2026-12-01")
	errNoStyle   = misuse("the style of a date is short, medium, long or full, or a layout such as 2 January 2006")
	errTimeStyle = misuse("the style of a time is short or medium, or a layout such as 15:04")
	errNoZone    = misuse("a zone is one name such as Europe/Stockholm or UTC")
)

// maxLayout is the greatest length of a layout, in bytes.
const maxLayout = 1000

// moment is a function that writes a "date", a "time" or a "datetime" in a style
// of the language, or else in a layout of Go's time package. Where it writes the
// time of day, a day alone will not do.
func (l localized) moment(kind string, wrong misuse) func(args []value) value {
	return func(args []value) value {
		style := onlyText(args[0])
		t, isDay := parseTime(args[1], zoneOf(args[2:]))
		s, isStyle := l.locale.Moment(kind, style, t)
		refuse(isDay && (kind != "date" || !isStyle && hasHour(style)), errNoHour)
		if !isStyle {
			refuse(len(style) > maxLayout || !locale.IsLayout(style), wrong)
			s = l.locale.Layout(t, style)
		}
		return l.written(s)
	}
}

// hasHour reports whether a layout writes a time of day.
func hasHour(layout string) bool {
	midnight := time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)
	return locale.Differ(layout, midnight, midnight.Add(13*time.Hour+7*time.Minute+9*time.Second))
}

// parseTime reads a time and puts it in a zone, or else leaves it in the offset
// that it was sent with. A day is the same in every zone.
func parseTime(v value, in *time.Location) (t time.Time, day bool) {
	layout := time.RFC3339Nano
	if day = len(v.text) == len(time.DateOnly); day {
		layout = time.DateOnly
	}
	t, err := time.Parse(layout, v.text)
	refuse(err != nil || t.Year() < 1 || v.kind != textual, errNoTime)
	if in != nil && !day {
		t = t.In(in)
	}
	return t, day
}

var (
	zones sync.Map // that were asked for, by name
	// zoneName keeps from the file system what is no zone, such as the machine's
	// own: zones are named like Europe/Stockholm or UTC.
	zoneName = regexp.MustCompile(`^[A-Z][A-Za-z0-9/_+-]{0,63}$`)
)

// zoneOf returns the zone that a function was given; nil for none.
func zoneOf(names []value) *time.Location {
	if len(names) == 0 {
		return nil
	}
	name := names[0].text
	if known, ok := zones.Load(name); ok && len(names) == 1 {
		return known.(*time.Location)
	}
	refuse(len(names) > 1 || name == "Local" || !zoneName.MatchString(name), errNoZone)
	zone, err := time.LoadLocation(name)
	refuse(err != nil, errNoZone)
	zones.Store(name, zone)
	return zone
}

const (
	errNoNumber   = misuse("a number was given that is not plain, such as 1249.50, or has over 100 digits")
	errNoDecimals = misuse("the number of decimals is one of 0 to 20")
	errNoCurrency = misuse("a currency is an ISO 4217 code such as EUR")
)

// toDecimal reads a number, or a text that is one, without going through a
// float: 129.90 is exactly that.
func toDecimal(v value) locale.Decimal {
	d, ok := locale.ParseDecimal(v.text)
	refuse(!ok, errNoNumber)
	return d
}

// rounded is a function that writes a number with its own decimals, or with as
// many as are asked for, of which a share has more.
func (l localized) rounded(more int, write func(locale.Decimal) string) func(args []value) value {
	return func(args []value) value {
		d := toDecimal(args[0])
		if len(args) > 1 {
			n, ok := toInt(args[1], 0, 20)
			refuse(!ok || len(args) > 2, errNoDecimals)
			d = d.Round(n + more)
		}
		return l.written(write(d))
	}
}

// currency writes an amount of money. What upstream has not sent as a plain
// number and an ISO code is written as it was sent: an amount such as
// "1 249,00" with "kr" needs no help to be understood.
func (l localized) currency(args []value) value {
	code, sent := onlyText(args[0]), text(args[1])
	refuse(code == "", errNoCurrency)
	refuse(sent == "", errNoNumber)
	if d, ok := locale.ParseDecimal(sent); ok && len(code) == 3 {
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
func (l localized) plural(args []value) value {
	d := toDecimal(args[0])
	refuse(len(args)%2 == 0, errPluralForms)
	var same, usual, other int // where the text for each is
	wanted := l.locale.Plural(d)
	for i := 1; i < len(args); i += 2 {
		form := args[i].text
		refuse(!isForm(form), errNoForm)
		exact, isExact := strings.CutPrefix(form, "=")
		n, _ := locale.ParseDecimal(exact)
		switch {
		case isExact && n.Equal(d):
			same = cmp.Or(same, i+1)
		case form == wanted:
			usual = cmp.Or(usual, i+1)
		case form == "other":
			other = cmp.Or(other, i+1)
		}
	}
	picked := cmp.Or(same, usual, other)
	refuse(picked == 0, errPluralForms)
	s, n := text(args[picked]), l.locale.Number(d)
	refuse(len(s)+strings.Count(s, "#")*len(n) > MaxPartBytes, errTooLarge)
	return l.written(strings.NewReplacer("##", "#", "#", n).Replace(s))
}

func isForm(s string) bool {
	if exact, ok := strings.CutPrefix(s, "="); ok {
		_, ok = locale.ParseDecimal(exact)
		return ok
	}
	return locale.IsCategory(s)
}

const (
	errNoLength  = misuse("the length of a truncated text is one of 1 to 10000")
	maxTruncated = 10_000
	// maxCluster is the greatest size in bytes of what counts as one
	// character. The longest emoji have under 50; what is longer is a letter
	// buried under marks.
	maxCluster = 256
)

// truncate shortens a text to so many characters as people see them, a mark of
// omission among them. It does not cut within a character.
func (l localized) truncate(args []value) value {
	limit, ok := toInt(args[0], 1, maxTruncated)
	refuse(!ok, errNoLength)
	s := text(args[1])
	mark, width := "…", 1
	if l.sms {
		mark, width = "...", 3
	}
	if len(s) <= limit {
		return ofString(s)
	}
	if limit <= width {
		mark, width = "", 0
	}
	cut, rest := 0, s
	for count := 0; rest != ""; count++ {
		first, _, _, _ := uniseg.FirstGraphemeClusterInString(rest[:min(len(rest), maxCluster+8)], -1)
		if count <= limit-width {
			cut = len(s) - len(rest)
		}
		if count == limit || len(first) > maxCluster {
			return ofString(strings.TrimSpace(s[:cut]) + mark)
		}
		rest = rest[len(first):]
	}
	return ofString(s)
}
