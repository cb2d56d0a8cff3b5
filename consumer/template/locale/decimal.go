package locale

import (
	"math/big"
	"strconv"
	"strings"
)

// MaxDigits is how many digits a Decimal has at most.
const MaxDigits = 100

// Decimal is an exact decimal number.
type Decimal struct {
	negative bool
	// digits of the number without its decimal sign, at least one more than
	// there are decimals; zeros at the head are only those that this needs.
	digits   string
	decimals int
}

// ParseDecimal reads a number as JSON writes it: 129.90, -5, 1.5e3. It keeps
// the decimals that are there, zeros too. It does not take other texts, nor
// numbers of more than MaxDigits digits.
func ParseDecimal(s string) (Decimal, bool) {
	mantissa, power := s, 0
	if at := strings.IndexAny(s, "eE"); at >= 0 {
		n, err := strconv.Atoi(s[at+1:])
		if err != nil || n > MaxDigits || n < -MaxDigits {
			return Decimal{}, false
		}
		mantissa, power = s[:at], n
	}
	mantissa, negative := strings.CutPrefix(mantissa, "-")
	whole, decimals, point := strings.Cut(mantissa, ".")
	if !allDigits(whole) || point && !allDigits(decimals) || len(mantissa) > MaxDigits+1 {
		return Decimal{}, false
	}
	d := Decimal{negative: negative, digits: whole + decimals, decimals: len(decimals)}.Shift(power)
	return d, len(d.digits) <= MaxDigits
}

func allDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// pad puts zeros before digits, up to a width.
func pad(digits string, width int) string {
	return strings.Repeat("0", max(width-len(digits), 0)) + digits
}

// Shift multiplies by a power of ten.
func (d Decimal) Shift(power int) Decimal {
	d.decimals -= power
	d.digits += strings.Repeat("0", max(-d.decimals, 0))
	d.decimals = max(d.decimals, 0)
	d.digits = pad(strings.TrimLeft(d.digits, "0"), d.decimals+1)
	return d
}

// Round gives the number exactly that many decimals. A half is rounded away from
// zero.
func (d Decimal) Round(decimals int) Decimal {
	decimals = max(decimals, 0)
	if more := decimals - d.decimals; more >= 0 {
		d.digits += strings.Repeat("0", more)
	} else {
		exact, _ := new(big.Rat).SetString(d.whole() + "." + d.fraction())
		d.digits = strings.Replace(exact.FloatString(decimals), ".", "", 1)
	}
	d.decimals = decimals
	return d
}

// IsZero reports whether every digit is zero.
func (d Decimal) IsZero() bool { return strings.Trim(d.digits, "0") == "" }

func (d Decimal) isWhole() bool { return strings.Trim(d.fraction(), "0") == "" }

// Equal reports whether two numbers are the same, whatever their decimals.
func (d Decimal) Equal(other Decimal) bool {
	most := max(d.decimals, other.decimals)
	a, b := d.Round(most), other.Round(most)
	return a.digits == b.digits && (a.negative == b.negative || a.IsZero())
}

func (d Decimal) whole() string    { return d.digits[:len(d.digits)-d.decimals] }
func (d Decimal) fraction() string { return d.digits[len(d.digits)-d.decimals:] }
