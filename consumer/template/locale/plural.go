package locale

import (
	"slices"
	"strconv"
	"strings"

	"golang.org/x/text/feature/plural"
)

// Category is a plural form of a language.
type Category string

// The categories that languages choose among. Every language has Other.
const (
	Zero  Category = "zero"
	One   Category = "one"
	Two   Category = "two"
	Few   Category = "few"
	Many  Category = "many"
	Other Category = "other"
)

// categories are those of x/text.
var categories = [...]Category{
	plural.Other: Other, plural.Zero: Zero, plural.One: One, plural.Two: Two, plural.Few: Few, plural.Many: Many,
}

// IsCategory reports whether that is the name of a plural form.
func IsCategory(name string) bool { return slices.Contains(categories[:], Category(name)) }

// Plural returns the form that goes with a number. The decimals that it has matter:
// in English it is 1 parcel, but 1.0 parcels.
func (l *Locale) Plural(d Decimal) Category {
	fraction := d.fraction()
	fraction = fraction[:min(len(fraction), maxOperand)]
	trimmed := strings.TrimRight(fraction, "0")
	return l.match(whole(d.whole()), len(fraction), len(trimmed), small(fraction), small(trimmed))
}

// match asks for the form of a number given as the operands i, v, w, f, t of
// plural rules.
func (l *Locale) match(i, v, w, f, t int) Category {
	c := categories[plural.Cardinal.MatchPlural(l.tag, i, v, w, f, t)]
	// The rules in x/text are old: Hebrew has no such form any more.
	if base, _ := l.tag.Base(); c == Many && base.String() == "he" {
		return Other
	}
	return c
}

// maxOperand is how many digits of a number plural rules are shown. None looks
// at more than the last six.
const maxOperand = 8

// whole keeps the last digits of a number, and that there were more.
func whole(digits string) int {
	if len(digits) > maxOperand {
		return 1e8 + small(digits[len(digits)-maxOperand:])
	}
	return small(digits)
}

func small(digits string) int {
	n, _ := strconv.Atoi(digits)
	return n
}

// Categories lists the forms that whole numbers take, and Other. It must not be
// changed.
func (l *Locale) Categories() []Category { return l.categories() }

func (l *Locale) findCategories() []Category {
	found := []Category{Other}
	for i := range 201 {
		if c := l.match(i, 0, 0, 0, 0); !slices.Contains(found, c) {
			found = append(found, c)
		}
	}
	return found
}
