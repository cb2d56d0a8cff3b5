package locale_test

import (
	"math/big"
	"strings"
	"testing"

	"github.com/meddela/meddela/consumer/template/locale"
)

func TestParseDecimal(t *testing.T) {
	english := locale.For("en")
	for s, want := range map[string]string{
		"0": "0", "-0": "0", "-0.00": "0.00", "007": "7", "129.90": "129.90", "-5": "-5", "1e3": "1,000", "1.5E+3": "1,500",
		"25e-4": "0.0025", "-1.50e1": "-15.0", "0.0001e2": "0.01", "0e5": "0",
		"123456789012345678901234567890.10": "123,456,789,012,345,678,901,234,567,890.10",
		strings.Repeat("0", 60) + "1":       "1",
	} {
		d, ok := locale.ParseDecimal(s)
		if got := english.Number(d); !ok || got != want {
			t.Errorf("%s became %q, %t; want %q", s, got, ok, want)
		}
	}
	for _, s := range []string{
		"", "-", "+1", ".5", "5.", "1,5", "1 000", " 1", "1_0", "0x1", "Infinity", "NaN", "1e", "e5", "1e1e1", "1.2.3", "--1",
		"٣", "1e101", "1e-101", "1e99999999999999999999", "9" + strings.Repeat("0", locale.MaxDigits), "12e99",
		"0." + strings.Repeat("1", locale.MaxDigits),
	} {
		if d, ok := locale.ParseDecimal(s); ok {
			t.Errorf("%q was taken, as %q", s, english.Number(d))
		}
	}
}

func TestRound(t *testing.T) {
	for _, tt := range []struct {
		s        string
		decimals int
		want     string
	}{
		{"129.90", 2, "129.90"}, {"129.9", 2, "129.90"}, {"129.905", 2, "129.91"}, {"129.904999", 2, "129.90"},
		{"-0.005", 2, "-0.01"},
		{"-0.004", 2, "0.00"}, {"0.5", 0, "1"}, {"999.995", 2, "1,000.00"}, {"9", 0, "9"}, {"1.005", 2, "1.01"},
		{"4.5", -1, "5"},
	} {
		d, ok := locale.ParseDecimal(tt.s)
		if got := locale.For("en").Number(d.Round(tt.decimals)); !ok || got != tt.want {
			t.Errorf("%s with %d decimals is %q, %t; want %q", tt.s, tt.decimals, got, ok, tt.want)
		}
	}
}

func TestEqual(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{{"1", "1.00", true}, {"0", "-0.0", true}, {"1", "-1", false}, {"1", "1.01", false}, {"10", "1e1", true},
		{"100", "0.1e3", true}} {
		if got := decimal(t, tt.a).Equal(decimal(t, tt.b)); got != tt.want {
			t.Errorf("%s equals %s: %t", tt.a, tt.b, got)
		}
	}
}

// FuzzDecimal compares with exact fractions, and writes in every numeral.
func FuzzDecimal(f *testing.F) {
	for _, s := range []string{"129.90", "-1e-7", "0.995", "99999e20", "-0"} {
		f.Add(s, 2)
	}
	plain := strings.NewReplacer(",", "")
	f.Fuzz(func(t *testing.T, s string, decimals int) {
		d, ok := locale.ParseDecimal(s)
		if !ok {
			return
		}
		want, ok := new(big.Rat).SetString(s)
		if !ok {
			t.Fatalf("%q is no number", s)
		}
		if got, ok := new(big.Rat).SetString(plain.Replace(locale.For("en").Number(d))); !ok || got.Cmp(want) != 0 {
			t.Errorf("%q became %v", s, got)
		}
		decimals = min(max(decimals, 0), 40)
		rounded, ok := new(big.Rat).SetString(plain.Replace(locale.For("en").Number(d.Round(decimals))))
		if exact, _ := new(big.Rat).SetString(want.FloatString(decimals)); !ok || rounded.Cmp(exact) != 0 {
			t.Errorf("%q with %d decimals became %v", s, decimals, rounded)
		}
		for _, language := range []string{"ar-EG", "hi", "pl", "de-CH"} {
			l := locale.For(language)
			_ = l.Percent(d)
			if c := l.Plural(d); !locale.IsCategory(c) {
				t.Errorf("%q has the plural %q", s, c)
			}
			if _, ok := l.Currency(d, "EUR"); !ok {
				t.Error("there are no euros")
			}
		}
	})
}
