package locale

import (
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// currencies are those that there are, and the decimals of those that do not
// have two.
var currencies = sync.OnceValue(func() (c struct{ codes, digits string }) {
	f := fields("currencies")
	c.codes, c.digits = "|"+f["codes"]+"|", "|"+f["digits"]+"|"
	return c
})

// IsCurrency tells whether there is, or was, a currency of that ISO 4217 code.
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
