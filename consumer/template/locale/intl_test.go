package locale_test

import (
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/meddela/meddela/consumer/template/locale"
)

// written is what ICU makes of values in one language, as intl.mjs in testdata
// asks it: by kind, then style or currency, then value.
type written struct {
	Date, Time, Datetime, Currency map[string]map[string]string
	Number, Percent, Plural        map[string]string
}

// TestAgreesWithICU compares with another reader of the same tables.
func TestAgreesWithICU(t *testing.T) {
	raw, err := os.ReadFile("testdata/intl.json")
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]written
	if err := json.Unmarshal(raw, &all); err != nil || len(all) < 40 {
		t.Fatalf("read %d languages, %v", len(all), err)
	}
	for language, want := range all {
		t.Run(language, func(t *testing.T) { compareDates(t, locale.For(language), want) })
		t.Run(language, func(t *testing.T) { compareNumbers(t, language, want) })
	}
}

func compareDates(t *testing.T, l *locale.Locale, want written) {
	for kind, styles := range map[string]map[string]map[string]string{
		"date": want.Date, "time": want.Time, "datetime": want.Datetime,
	} {
		for style, values := range styles {
			for value, want := range values {
				at, err := time.Parse(time.RFC3339, value)
				if err != nil {
					t.Fatal(err)
				}
				if got, ok := l.Moment(kind, style, at); !ok || got != want {
					t.Errorf("%s %s %s: %q, %t; want %q", kind, style, value, got, ok, want)
				}
			}
		}
	}
}

func compareNumbers(t *testing.T, language string, want written) {
	l := locale.For(language)
	compare := func(kind, value, want string, write func(locale.Decimal) string) {
		if got := write(decimal(t, value)); got != want {
			t.Errorf("%s %s: %q; want %q", kind, value, got, want)
		}
	}
	for value, want := range want.Number {
		compare("number", value, want, l.Number)
	}
	for value, want := range want.Percent {
		compare("percent", value, want, l.Percent)
	}
	for value, want := range want.Plural {
		compare("plural", value, want, l.Plural)
	}
	for code, values := range want.Currency {
		for value, want := range values {
			compare(code, value, want, func(d locale.Decimal) string {
				s, _ := l.Currency(d, code)
				return s
			})
		}
	}
}

func decimal(t *testing.T, s string) locale.Decimal {
	t.Helper()
	d, ok := locale.ParseDecimal(s)
	if !ok {
		t.Fatalf("%s is no decimal", s)
	}
	return d
}
