package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// calendar is the part of ca-gregorian.json that is used.
type calendar struct {
	Months, Days map[string]map[string]map[string]string // context, width, number or name
	DayPeriods   map[string]map[string]map[string]string
	Eras         struct {
		Abbr map[string]string `json:"eraAbbr"`
	}
	DateFormats map[string]string
	TimeFormats map[string]string
	AtTime      struct{ Standard map[string]string } `json:"dateTimeFormats-atTime"`
}

var (
	weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}
	months   = []string{"1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"}
	styles   = []string{"full", "long", "medium", "short"}
)

func (s source) record(name string, c *core) (record, error) {
	r := make(record)
	if err := s.dates(r, name); err != nil {
		return nil, err
	}
	return r, s.numbers(r, name, c)
}

func (s source) dates(r record, name string) error {
	var file struct {
		Main map[string]struct {
			Dates struct {
				Calendars struct{ Gregorian calendar }
			}
		}
	}
	if err := s.read(&file, "cldr-dates-full", "main", name, "ca-gregorian.json"); err != nil {
		return err
	}
	g := file.Main[name].Dates.Calendars.Gregorian
	for key, context := range map[string]string{"": "format", ".alone": "stand-alone"} {
		r["months"+key] = pick(g.Months[context]["wide"], months)
		r["months.short"+key] = pick(g.Months[context]["abbreviated"], months)
		r["days"+key] = pick(g.Days[context]["wide"], weekdays)
		r["days.short"+key] = pick(g.Days[context]["abbreviated"], weekdays)
	}
	r["halves"] = pick(g.DayPeriods["format"]["abbreviated"], []string{"am", "pm"})
	r["dates"] = pick(g.DateFormats, styles)
	r["times"] = pick(g.TimeFormats, []string{"medium", "short"})
	r["together"] = pick(g.AtTime.Standard, styles)
	simplify(r, g.Eras.Abbr["1"])
	return checkPatterns(r)
}

// simplify writes times of day such as "in the evening" as halves of the day,
// the era as it is called, and an ordinary space where a narrow one stands,
// which not every mail reader can show.
func simplify(r record, era string) {
	plain := strings.NewReplacer("\u202f", " ")
	r["times"] = strings.ReplaceAll(plain.Replace(r["times"]), "B", "a")
	r["dates"] = eras.ReplaceAllString(plain.Replace(r["dates"]), "'"+era+"'")
}

var (
	eras       = regexp.MustCompile(`G+`)
	quotedText = regexp.MustCompile(`'[^']*'`)
	fields     = regexp.MustCompile(`y+|M+|d+|E+|c+`)
	timeFields = regexp.MustCompile(`h+|H+|m+|s+|a`)
	letters    = regexp.MustCompile(`[a-zA-Z]`)
)

// checkPatterns makes sure that package locale knows every field.
func checkPatterns(r record) error {
	dates := fields.ReplaceAllString(quotedText.ReplaceAllString(r["dates"], ""), "")
	times := timeFields.ReplaceAllString(quotedText.ReplaceAllString(r["times"], ""), "")
	if letters.MatchString(dates + times) {
		return fmt.Errorf("a pattern has an unknown field: %s %s", r["dates"], r["times"])
	}
	return nil
}

func pick(from map[string]string, keys []string) string {
	list := make([]string, len(keys))
	for i, key := range keys {
		list[i] = from[key]
	}
	return strings.Join(list, "|")
}

func (s source) numbers(r record, name string, c *core) error {
	var file struct {
		Main map[string]struct{ Numbers map[string]json.RawMessage }
	}
	if err := s.read(&file, "cldr-numbers-full", "main", name, "numbers.json"); err != nil {
		return err
	}
	all := file.Main[name].Numbers
	get := func(key string, into any) error { return json.Unmarshal(all[key], into) }
	var system, least string
	if err := get("defaultNumberingSystem", &system); err != nil {
		return err
	}
	symbols, formats := map[string]string{}, map[string]map[string]any{}
	for key, into := range map[string]any{"minimumGroupingDigits": &least, "symbols-numberSystem-" + system: &symbols} {
		if err := get(key, into); err != nil {
			return err
		}
	}
	for _, kind := range []string{"decimal", "percent", "currency"} {
		var patterns map[string]any
		if err := get(kind+"Formats-numberSystem-"+system, &patterns); err != nil {
			return err
		}
		formats[kind] = patterns
	}
	standard := func(kind, variant string) string { s, _ := formats[kind]["standard"+variant].(string); return s }
	r["numerals"] = c.numerals[system].Digits
	r["signs"] = pick(symbols, []string{"decimal", "group", "minusSign", "percentSign"}) + "|" +
		cmp.Or(symbols["currencyDecimal"], symbols["decimal"]) + "|" + cmp.Or(symbols["currencyGroup"], symbols["group"])
	r["patterns"] = strings.Join([]string{
		standard("decimal", ""), standard("percent", ""), standard("currency", ""),
		cmp.Or(standard("currency", "-alphaNextToNumber"), standard("currency", "")),
	}, "|")
	r["grouping"] = least
	return s.writeSymbols(r, name)
}

// writeSymbols writes the currencies whose symbols are not their codes.
func (s source) writeSymbols(r record, name string) error {
	symbols, err := s.symbols(name)
	if err != nil {
		return err
	}
	var list []string
	for _, code := range slices.Sorted(maps.Keys(symbols)) {
		if symbol := symbols[code]; symbol != "" && symbol != code {
			list = append(list, code+" "+symbol)
		}
	}
	r["symbols"] = strings.Join(list, "|")
	return nil
}

// symbols returns a locale's symbols of currencies, by code; empty for those
// that have none.
func (s source) symbols(name string) (map[string]string, error) {
	var file struct {
		Main map[string]struct {
			Numbers struct {
				Currencies map[string]struct{ Symbol string }
			}
		}
	}
	err := s.read(&file, "cldr-numbers-full", "main", name, "currencies.json")
	symbols := make(map[string]string)
	for code, c := range file.Main[name].Numbers.Currencies {
		symbols[code] = c.Symbol
	}
	return symbols, err
}
