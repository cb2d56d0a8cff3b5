package locale

import (
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// signSet is what numbers are written with.
type signSet struct{ decimal, group, minus, percent string }

// pattern is how numbers of one kind are written. In what stands before and
// after, ¤ is the currency's symbol.
type pattern struct {
	signs                         signSet
	before, after                 string
	beforeNegative, afterNegative string
	group, furtherGroup           int // digits in the last group and in those before it; 0 for none
}

// newPattern reads a pattern such as "#,##0.00 ¤;-#,##0.00 ¤", of which the
// negative half may be missing.
func newPattern(source string, signs signSet) pattern {
	positive, negative, has := strings.Cut(source, ";")
	if !has {
		negative = "-" + positive
	}
	p := pattern{signs: signs}
	var digits string
	p.before, digits, p.after = p.split(positive)
	p.beforeNegative, _, p.afterNegative = p.split(negative)
	whole, _, _ := strings.Cut(digits, ".")
	if groups := strings.Split(whole, ","); len(groups) > 1 {
		p.group = len(groups[len(groups)-1])
		p.furtherGroup = p.group
		if len(groups) > 2 {
			p.furtherGroup = len(groups[len(groups)-2])
		}
	}
	return p
}

func (p *pattern) split(source string) (before, digits, after string) {
	const ofDigits = "#0,."
	start, end := strings.IndexAny(source, ofDigits), strings.LastIndexAny(source, ofDigits)+1
	if start < 0 {
		return source, "", ""
	}
	signs := strings.NewReplacer("-", p.signs.minus, "%", p.signs.percent)
	return signs.Replace(source[:start]), source[start:end], signs.Replace(source[end:])
}

// around is what stands before and after a number.
func (p *pattern) around(negative bool) (before, after string) {
	if negative {
		return p.beforeNegative, p.afterNegative
	}
	return p.before, p.after
}

// Number writes a number with the decimals that it has.
func (l *Locale) Number(d Decimal) string { return l.write(&l.number, d, "") }

// Percent writes a share as percent, 0.25 as 25 %, with the decimals that are
// left then.
func (l *Locale) Percent(d Decimal) string { return l.write(&l.percent, d.Shift(2), "") }

func (l *Locale) write(p *pattern, d Decimal, symbol string) string {
	before, after := p.around(d.negative && !d.IsZero())
	b := make([]byte, 0, 2*len(d.digits)+len(before)+len(after)+len(symbol))
	b = appendAffix(b, before, symbol)
	b = l.appendGroups(b, p, d.whole())
	if d.decimals > 0 {
		b = append(b, p.signs.decimal...)
		b = l.appendDigits(b, d.fraction())
	}
	return string(appendAffix(b, after, symbol))
}

func appendAffix(b []byte, affix, symbol string) []byte {
	before, after, has := strings.Cut(affix, "¤")
	b = append(b, before...)
	if has {
		b = append(b, symbol...)
	}
	return append(b, after...)
}

// appendGroups writes the digits of a whole number, a sign between groups.
func (l *Locale) appendGroups(b []byte, p *pattern, digits string) []byte {
	if p.group == 0 || len(digits) < p.group+l.leastGrouped {
		return l.appendDigits(b, digits)
	}
	head := digits[:len(digits)-p.group]
	first := (len(head)-1)%p.furtherGroup + 1
	b = l.appendDigits(b, head[:first])
	for head = head[first:]; head != ""; head = head[p.furtherGroup:] {
		b = append(b, p.signs.group...)
		b = l.appendDigits(b, head[:p.furtherGroup])
	}
	b = append(b, p.signs.group...)
	return l.appendDigits(b, digits[len(digits)-p.group:])
}

// currencies are those that there are, and the decimals of those that do not
// have two.
var currencies = sync.OnceValue(func() (c struct{ codes, digits string }) {
	f := fields("currencies")
	c.codes, c.digits = "|"+f["codes"]+"|", "|"+f["digits"]+"|"
	return c
})

// IsCurrency reports whether there is, or was, a currency of that ISO 4217 code.
func IsCurrency(code string) bool {
	return isCode(code) && strings.Contains(currencies().codes, "|"+code+"|")
}

func isCode(s string) bool {
	return len(s) == 3 && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

// lookUp returns the value of a code in a list such as "|EUR €|SEK kr|".
func lookUp(list, code string) (value string, ok bool) {
	_, rest, ok := strings.Cut(list, "|"+code+" ")
	value, _, _ = strings.Cut(rest, "|")
	return value, ok
}

// Currency writes an amount of a currency, given by its ISO 4217 code. It has
// the decimals that are usual with the currency. Of an amount that would lose
// something where none are usual, two are written. It is not ok when there is
// no such currency.
func (l *Locale) Currency(d Decimal, code string) (s string, ok bool) {
	if !IsCurrency(code) {
		return "", false
	}
	decimals := 2
	if usual, ok := lookUp(currencies().digits, code); ok {
		decimals = int(usual[0] - '0')
	}
	if decimals == 0 && !d.isWhole() {
		decimals = 2
	}
	symbol, ok := lookUp(l.symbols, code)
	if !ok {
		symbol = code
	}
	p, symbol := l.placing(symbol)
	return l.write(p, d.Round(decimals), symbol), true
}

// placing returns the pattern for a symbol, and the symbol with what keeps it
// from the digits where they would touch.
func (l *Locale) placing(symbol string) (p *pattern, spaced string) {
	const space = "\u00a0"
	first, _ := utf8.DecodeRuneInString(symbol)
	last, _ := utf8.DecodeLastRuneInString(symbol)
	leads := strings.Contains(l.currency.before, "¤")
	edge := first
	if leads {
		edge = last
	}
	p = &l.currency
	if unicode.IsLetter(edge) {
		p = &l.currencyLetters
	}
	switch touches := !unicode.IsSymbol(edge) && !unicode.IsSpace(edge); {
	case touches && leads && strings.HasSuffix(p.before, "¤"):
		return p, symbol + space
	case touches && !leads && strings.HasPrefix(p.after, "¤"):
		return p, space + symbol
	}
	return p, symbol
}
