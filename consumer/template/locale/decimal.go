package locale

import (
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
	mantissa, power, scientific := s, 0, false
	if at := strings.IndexAny(s, "eE"); at >= 0 {
		n, err := strconv.Atoi(s[at+1:])
		if err != nil || n > MaxDigits || n < -MaxDigits {
			return Decimal{}, false
		}
		mantissa, power, scientific = s[:at], n, true
	}
	mantissa, negative := strings.CutPrefix(mantissa, "-")
	whole, decimals, point := strings.Cut(mantissa, ".")
	if !allDigits(whole) || point && !allDigits(decimals) || len(mantissa) > MaxDigits+1 {
		return Decimal{}, false
	}
	d := Decimal{negative: negative, digits: whole + decimals, decimals: len(decimals)}
	if scientific {
		d = d.Shift(power)
	}
	d.digits = pad(strings.TrimLeft(d.digits, "0"), d.decimals+1)
	return d, len(d.digits) <= MaxDigits
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// pad puts zeros before digits, up to a width.
func pad(digits string, width int) string {
	if missing := width - len(digits); missing > 0 {
		return strings.Repeat("0", missing) + digits
	}
	return digits
}

// Shift multiplies by a power of ten.
func (d Decimal) Shift(power int) Decimal {
	if d.decimals -= power; d.decimals < 0 {
		d.digits += strings.Repeat("0", -d.decimals)
		d.decimals = 0
	}
	d.digits = pad(trimHead(d.digits, d.decimals+1), d.decimals+1)
	return d
}

// trimHead removes zeros from the head of digits down to a width.
func trimHead(digits string, width int) string {
	for len(digits) > width && digits[0] == '0' {
		digits = digits[1:]
	}
	return digits
}

// Round gives the number exactly that many decimals, up to MaxDigits. A half is
// rounded away from zero.
func (d Decimal) Round(decimals int) Decimal {
	decimals = min(max(decimals, 0), MaxDigits)
	if more := decimals - d.decimals; more >= 0 {
		d.digits += strings.Repeat("0", more)
		d.decimals = decimals
		return d
	}
	cut := len(d.digits) - (d.decimals - decimals)
	up := d.digits[cut] >= '5'
	d.digits, d.decimals = d.digits[:cut], decimals
	if up {
		d.digits = increment(d.digits)
	}
	return d
}

// increment adds one to the last digit.
func increment(digits string) string {
	b := []byte(digits)
	for i := len(b) - 1; i >= 0; i-- {
		if b[i] != '9' {
			b[i]++
			return string(b)
		}
		b[i] = '0'
	}
	return "1" + string(b)
}

// IsZero reports whether every digit is zero.
func (d Decimal) IsZero() bool { return strings.Trim(d.digits, "0") == "" }

// isWhole reports whether every decimal is zero.
func (d Decimal) isWhole() bool { return strings.Trim(d.fraction(), "0") == "" }

// Equal reports whether two numbers are the same, whatever their decimals.
func (d Decimal) Equal(other Decimal) bool {
	most := max(d.decimals, other.decimals)
	a, b := d.Round(most), other.Round(most)
	return trimHead(a.digits, most+1) == trimHead(b.digits, most+1) && (a.negative == b.negative || a.IsZero())
}

func (d Decimal) whole() string    { return d.digits[:len(d.digits)-d.decimals] }
func (d Decimal) fraction() string { return d.digits[len(d.digits)-d.decimals:] }
