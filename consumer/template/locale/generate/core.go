package main

import (
	"maps"
	"slices"
	"strings"
)

// core is what concerns all locales.
type core struct {
	version    string
	levels     map[string]string // how complete a locale is
	parents    map[string]string // where that is not the tag without its end
	fractions  map[string]fraction
	numerals   map[string]numeral
	currencies []string // codes, sorted
}

type fraction struct {
	Digits string `json:"_digits"`
}

type numeral struct {
	Digits string `json:"_digits"`
}

func (s source) core() (*core, error) {
	var coverage struct {
		Levels map[string]string `json:"effectiveCoverageLevels"`
	}
	var parents struct {
		Supplemental struct {
			Version struct {
				CLDR string `json:"_cldrVersion"`
			}
			ParentLocales struct{ ParentLocale map[string]string }
		}
	}
	var money struct {
		Supplemental struct {
			CurrencyData struct{ Fractions map[string]fraction }
		}
	}
	var numerals struct {
		Supplemental struct{ NumberingSystems map[string]numeral }
	}
	for path, into := range map[string]any{
		"coverageLevels.json":                &coverage,
		"supplemental/parentLocales.json":    &parents,
		"supplemental/currencyData.json":     &money,
		"supplemental/numberingSystems.json": &numerals,
	} {
		if err := s.read(into, "cldr-core", path); err != nil {
			return nil, err
		}
	}
	codes, err := s.symbols("en")
	return &core{
		version:    parents.Supplemental.Version.CLDR,
		levels:     coverage.Levels,
		parents:    parents.Supplemental.ParentLocales.ParentLocale,
		fractions:  money.Supplemental.CurrencyData.Fractions,
		numerals:   numerals.Supplemental.NumberingSystems,
		currencies: slices.Sorted(maps.Keys(codes)),
	}, err
}

// locales lists those that are complete enough.
func (c *core) locales() []string {
	var names []string
	for name, level := range c.levels {
		if name != "und" && (level == "modern" || level == "moderate") {
			names = append(names, name)
		}
	}
	return names
}

// parentOf names the locale that a locale inherits from; empty for none.
func (c *core) parentOf(name string, records map[string]record) string {
	parent, special := c.parents[name]
	if !special {
		parent, _, _ = cutLast(name, "-")
	}
	if _, have := records[parent]; !have {
		return ""
	}
	return parent
}

// digits lists the currencies that do not have two decimals.
func (c *core) digits() string {
	var list []string
	for _, code := range c.currencies {
		if f, ok := c.fractions[code]; ok && f.Digits != "2" {
			list = append(list, code+" "+f.Digits)
		}
	}
	return strings.Join(list, "|")
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return "", s, false
}
