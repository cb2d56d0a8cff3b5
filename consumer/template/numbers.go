package template

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/meddela/meddela/consumer/template/locale"
)

const (
	errNoNumber   = misuse("a number was given that is not plain, such as 1249.50, or has over 100 digits")
	errNoDecimals = misuse("the number of decimals is one of 0 to 20")
	errNoCurrency = misuse("a currency is an ISO 4217 code such as EUR")
)

// toDecimal reads a number, or a text that is one, without going through a
// float: 129.90 is exactly that.
func toDecimal(v any) (locale.Decimal, error) {
	var s string
	switch v := v.(type) {
	case string:
		s = v
	case json.Number:
		s = string(v)
	case int:
		s = strconv.Itoa(v)
	case int64:
		s = strconv.FormatInt(v, 10)
	case float64:
		s = strconv.FormatFloat(v, 'f', -1, 64)
	}
	d, ok := locale.ParseDecimal(s)
	if !ok {
		return d, errNoNumber
	}
	return d, nil
}

// toDecimals reads the argument that says how many decimals to write.
func toDecimals(v any) (int, error) {
	n, ok := toNumber(v)
	if !ok || !n.whole || n.int < 0 || n.int > 20 {
		return 0, errNoDecimals
	}
	return int(n.int), nil
}

// number writes a number with its own decimals, or with exactly as many as
// asked for.
func (l localized) number(v any, decimals ...any) (string, error) {
	d, err := toDecimal(v)
	if err == nil && len(decimals) > 0 {
		d, err = round(d, 0, decimals)
	}
	if err != nil {
		return "", err
	}
	return l.written(l.locale.Number(d))
}

// percent writes a share, of which 1 is the whole.
func (l localized) percent(v any, decimals ...any) (string, error) {
	d, err := toDecimal(v)
	if err == nil && len(decimals) > 0 {
		d, err = round(d, 2, decimals)
	}
	if err != nil {
		return "", err
	}
	return l.written(l.locale.Percent(d))
}

// round gives a number as many decimals as asked for, and some more.
func round(d locale.Decimal, more int, decimals []any) (locale.Decimal, error) {
	if len(decimals) > 1 {
		return d, errNoDecimals
	}
	n, err := toDecimals(decimals[0])
	return d.Round(n + more), err
}

// currency writes an amount of money. What upstream has not sent as a plain
// number and an ISO code is written as it was sent: an amount such as
// "1 249,00" with "kr" needs no help to be understood.
func (l localized) currency(code string, v any) (string, error) {
	sent, err := text(v)
	switch {
	case err != nil:
		return "", err
	case code == "":
		return "", errNoCurrency
	case sent == "":
		return "", errNoNumber
	}
	if d, err := toDecimal(v); err == nil && len(code) == 3 {
		if s, ok := l.locale.Currency(d, strings.ToUpper(code)); ok {
			return l.written(s)
		}
	}
	return bounded(sent + " " + code)
}
