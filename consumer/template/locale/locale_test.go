package locale_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/meddela/meddela/consumer/template/locale"
)

func TestForFindsTheNearest(t *testing.T) {
	for tag, want := range map[string]string{
		"sv": "sv", "SV_fi": "sv-FI", "sv-DE": "sv", "sv-Latn-FI": "sv", "en-US": "en", "no": "no", "iw": "he",
		"zh-TW": "zh-Hant", "zh-HK": "zh-Hant-HK",
		"sr-ME": "sr-Latn-ME", "es-MX": "es-MX", "tlh": "en", "": "en", "no language": "en", "@sv": "en", "currencies": "en",
		"x": "en",
	} {
		if got := locale.For(tag).Name(); got != want {
			t.Errorf("For(%q) is %s; want %s", tag, got, want)
		}
	}
}

func TestForByMany(t *testing.T) {
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for _, tag := range []string{"pt-BR", "ga", "cy", "mt", "uk"} {
				if l := locale.For(tag); l != locale.For(tag) || !slices.Contains(l.Categories(), "other") {
					t.Errorf("%s: two locales, or no plural forms", tag)
				}
			}
		})
	}
	all.Wait()
}

func TestLayout(t *testing.T) {
	at := time.Date(2026, time.December, 1, 18, 25, 0, 123e6, time.FixedZone("EET", 2*3600))
	for _, tt := range []struct{ language, layout, want string }{
		{"en", "Monday, January 2, 2006", "Tuesday, December 1, 2026"},
		{"sv", "Monday 2 January 2006 kl. 15:04", "tisdag 1 december 2026 kl. 18:25"},
		{"de", "Mon, 2. Jan 2006", "Di., 1. Dez. 2026"},
		{"pl", "2 January 2006", "1 grudnia 2026"},
		{"pl", "January 2006", "grudzień 2026"},
		{"fi", "_2. January", " 1. joulukuuta"},
		{"fi", "January", "joulukuu"},
		{"fr", "02/01/2006 15:04:05.000 -07:00 MST", "01/12/2026 18:25:00.123 +02:00 EET"},
		{"sv", "3:04 PM", "6:25 PM"},
		{"sv", "Month Januaryx", "Month decemberx"},
		{"sv", "", ""},
	} {
		if got := locale.For(tt.language).Layout(at, tt.layout); got != tt.want {
			t.Errorf("%s %q: %q; want %q", tt.language, tt.layout, got, tt.want)
		}
	}
}

// TestEnglishLayoutIsGos compares with the package that layouts are of.
func TestEnglishLayoutIsGos(t *testing.T) {
	at := time.Date(2026, time.September, 1, 18, 25, 0, 123e6, time.UTC)
	for _, layout := range []string{time.ANSIC, time.RFC1123Z, time.RFC850, time.Kitchen, time.StampNano,
		time.RFC3339Nano, "Januar", "Mondays", "Janu", "monday"} {
		if got, want := locale.For("en").Layout(at, layout), at.Format(layout); got != want {
			t.Errorf("%q: %q; want %q", layout, got, want)
		}
	}
}

func TestIsLayout(t *testing.T) {
	for layout, want := range map[string]bool{"2006": true, "15:04": true, "Jan": true, "PM": true, "lnog": false,
		"": false, "yyyy-MM-dd": false, "Z07:00": true} {
		if locale.IsLayout(layout) != want {
			t.Errorf("IsLayout(%q) is not %t", layout, want)
		}
	}
}

func TestMidnightAndNoon(t *testing.T) {
	for hour, want := range map[int]string{0: "12:05 AM", 11: "11:05 AM", 12: "12:05 PM", 23: "11:05 PM"} {
		at := time.Date(2026, time.December, 1, hour, 5, 0, 0, time.UTC)
		if got, ok := locale.For("en").Moment("time", "short", at); !ok || got != want {
			t.Errorf("%d:05 is %q; want %q", hour, got, want)
		}
	}
}

func TestCurrencyShowsAllMoney(t *testing.T) {
	for _, tt := range []struct{ language, code, value, want string }{
		{"sv", "SEK", "1249", "1\u00a0249,00\u00a0kr"},
		{"en", "EUR", "1249.00", "€1,249.00"},
		{"de", "EUR", "1249", "1.249,00\u00a0€"},
		{"hu", "HUF", "1249.00", "1249\u00a0Ft"},
		{"hu", "HUF", "1249.50", "1249,50\u00a0Ft"},
		{"en", "JPY", "0.125", "¥0.13"},
		{"en", "KWD", "1.5", "KWD\u00a01.500"},
		{"en", "EUR", "-0.001", "€0.00"},
	} {
		if got, ok := locale.For(tt.language).Currency(decimal(t, tt.value), tt.code); !ok || got != tt.want {
			t.Errorf("%s %s %s: %q, %t; want %q", tt.language, tt.code, tt.value, got, ok, tt.want)
		}
	}
	for _, code := range []string{"", "eur", "EURO", "ZZZ", "E|U", "€", "|EU"} {
		if s, ok := locale.For("en").Currency(decimal(t, "1"), code); ok {
			t.Errorf("there is a currency %q: %q", code, s)
		}
	}
}

func TestPluralOfDecimals(t *testing.T) {
	for _, tt := range []struct {
		language, number string
		want             string
	}{
		{"en", "1", "one"}, {"en", "1.0", "other"}, {"en", "-1", "one"}, {"fr", "1.5", "one"},
		{"pl", "1.5", "other"},
		{"pl", "100000000022", "few"}, {"en", "100000000001", "other"}, {"lv", "0.1", "one"},
		{"cs", "1.5", "many"},
		{"en", "0." + strings.Repeat("0", 50) + "1", "other"},
	} {
		if got := locale.For(tt.language).Plural(decimal(t, tt.number)); got != tt.want {
			t.Errorf("%s %s: %s; want %s", tt.language, tt.number, got, tt.want)
		}
	}
}

func TestCategories(t *testing.T) {
	for language, want := range map[string]string{
		"sv": "[one other]", "ja": "[other]", "pl": "[few many one other]", "ar": "[few many one other two zero]",
		"cs": "[few one other]", "he": "[one other two]",
	} {
		if got := fmt.Sprint(slices.Sorted(slices.Values(locale.For(language).Categories()))); got != want {
			t.Errorf("%s has %s; want %s", language, got, want)
		}
	}
}

func BenchmarkCurrency(b *testing.B) {
	l := locale.For("sv")
	b.ReportAllocs()
	for b.Loop() {
		d, _ := locale.ParseDecimal("1249.90")
		if _, ok := l.Currency(d, "SEK"); !ok {
			b.Fatal("no kronor")
		}
	}
}

func BenchmarkDate(b *testing.B) {
	l, at := locale.For("sv"), time.Date(2026, time.December, 1, 18, 25, 0, 0, time.UTC)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := l.Moment("date", "long", at); !ok {
			b.Fatal("no date")
		}
	}
}
