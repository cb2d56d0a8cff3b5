package locale

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/feature/plural"
)

// signSet is what numbers are written with.
type signSet struct{ decimal, group, minus, percent string }

// pattern is how numbers of one kind are written.
type pattern struct {
	signs               signSet
	positive, negative  affixes
	group, furtherGroup int // digits in the last group and in those before it; 0 for none
}

// affixes are what stands around a number; ¤ is the currency's symbol.
type affixes struct{ before, after string }

// newPattern reads a pattern such as "#,##0.00 ¤;-#,##0.00 ¤", of which the
// negative half may be missing.
func newPattern(source string, signs signSet) pattern {
	positive, negative, has := strings.Cut(source, ";")
	if !has {
		negative = "-" + positive
	}
	p := pattern{signs: signs}
	var digits string
	p.positive, digits = signs.split(positive)
	p.negative, _ = signs.split(negative)
	whole, _, _ := strings.Cut(digits, ".")
	if groups := strings.Split(whole, ","); len(groups) > 1 {
		p.group = len(groups[len(groups)-1])
		p.furtherGroup = len(groups[max(len(groups)-2, 1)])
	}
	return p
}

func (s signSet) split(pattern string) (around affixes, digits string) {
	const ofDigits = "#0,."
	start, end := strings.IndexAny(pattern, ofDigits), strings.LastIndexAny(pattern, ofDigits)+1
	signs := strings.NewReplacer("-", s.minus, "%", s.percent)
	return affixes{signs.Replace(pattern[:start]), signs.Replace(pattern[end:])}, pattern[start:end]
}

// Number writes a number with the decimals that it has.
func (l *Locale) Number(d Decimal) string { return l.write(&l.number, d, "") }

// Percent writes a share as percent, 0.25 as 25 %, with the decimals that are
// left then.
func (l *Locale) Percent(d Decimal) string { return l.write(&l.percent, d.Shift(2), "") }

func (l *Locale) write(p *pattern, d Decimal, symbol string) string {
	around := p.positive
	if d.negative && !d.IsZero() {
		around = p.negative
	}
	b := make([]byte, 0, 2*len(d.digits)+len(around.before)+len(around.after)+len(symbol))
	b = appendAffix(b, around.before, symbol)
	whole := d.whole()
	grouped := p.group > 0 && len(whole) >= p.group+l.leastGrouped
	for i := range len(whole) {
		left := len(whole) - i
		if grouped && i > 0 && left >= p.group && (left-p.group)%p.furtherGroup == 0 {
			b = append(b, p.signs.group...)
		}
		b = l.appendDigits(b, whole[i:i+1])
	}
	if d.decimals > 0 {
		b = append(b, p.signs.decimal...)
		b = l.appendDigits(b, d.fraction())
	}
	return string(appendAffix(b, around.after, symbol))
}

func appendAffix(b []byte, affix, symbol string) []byte {
	before, after, has := strings.Cut(affix, "¤")
	b = append(b, before...)
	if has {
		b = append(b, symbol...)
	}
	return append(b, after...)
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
	return !strings.Contains(code, "|") && strings.Contains(currencies().codes, "|"+code+"|")
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
	if usual, ok := lookUp(currencies().digits, code); ok && (usual != "0" || d.isWhole()) {
		decimals = int(usual[0] - '0')
	}
	symbol, ok := lookUp(l.symbols, code)
	if !ok {
		symbol = code
	}
	leads := strings.Contains(l.currency.positive.before, "¤")
	edge, _ := utf8.DecodeRuneInString(symbol) // next to the digits
	if leads {
		edge, _ = utf8.DecodeLastRuneInString(symbol)
	}
	p := &l.currency
	if unicode.IsLetter(edge) {
		p = &l.currencyLetters
	}
	const space = "\u00a0" // keeps from the digits what would touch them
	switch touches := !unicode.IsSymbol(edge) && !unicode.IsSpace(edge); {
	case touches && leads && strings.HasSuffix(p.positive.before, "¤"):
		symbol += space
	case touches && !leads && strings.HasPrefix(p.positive.after, "¤"):
		symbol = space + symbol
	}
	return l.write(p, d.Round(decimals), symbol), true
}

// categories are the plural forms that languages choose among, by the number
// that they have in x/text. Every language has other.
var categories = [...]string{plural.Other: "other", plural.Zero: "zero", plural.One: "one", plural.Two: "two",
	plural.Few: "few", plural.Many: "many"}

// IsCategory reports whether that is the name of a plural form.
func IsCategory(name string) bool { return slices.Contains(categories[:], name) }

// Plural returns the form that goes with a number. The decimals that it has matter:
// in English it is 1 parcel, but 1.0 parcels.
func (l *Locale) Plural(d Decimal) string {
	fraction := d.fraction()
	fraction = fraction[:min(len(fraction), maxOperand)]
	trimmed := strings.TrimRight(fraction, "0")
	return l.plural(operand(d.whole()), len(fraction), len(trimmed), operand(fraction), operand(trimmed))
}

// plural asks for the form of a number given as the operands i, v, w, f, t of
// plural rules.
func (l *Locale) plural(i, v, w, f, t int) string {
	c := plural.Cardinal.MatchPlural(l.tag, i, v, w, f, t)
	// The rules in x/text are old: Hebrew has no such form any more.
	if base, _ := l.tag.Base(); c == plural.Many && base.String() == "he" {
		c = plural.Other
	}
	return categories[c]
}

// maxOperand is how many digits of a number plural rules are shown. None looks
// at more than the last six.
const maxOperand = 8

// operand reads the last digits of a number, and that there were more.
func operand(digits string) int {
	cut := max(len(digits)-maxOperand, 0)
	n, _ := strconv.Atoi(digits[cut:])
	if cut > 0 {
		n += 1e8
	}
	return n
}

// Categories lists the forms that whole numbers take, and other.
func (l *Locale) Categories() []string {
	found := []string{"other"}
	for i := range 201 {
		if c := l.plural(i, 0, 0, 0, 0); !slices.Contains(found, c) {
			found = append(found, c)
		}
	}
	return found
}
