package template

import (
	"strings"
	"unicode"

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
	"upper":    func(l localized) any { return l.upper },
	"lower":    func(l localized) any { return l.lower },
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

func (l localized) upper(v any) (string, error) {
	s, err := text(v)
	if err != nil {
		return "", err
	}
	if l.turkish {
		return bounded(strings.ToUpperSpecial(unicode.TurkishCase, s))
	}
	return bounded(strings.ToUpper(s))
}

func (l localized) lower(v any) (string, error) {
	s, err := text(v)
	if err != nil {
		return "", err
	}
	if l.turkish {
		return bounded(strings.ToLowerSpecial(unicode.TurkishCase, s))
	}
	return bounded(strings.ToLower(s))
}
