package template

import (
	"slices"
	"strings"

	"github.com/meddela/meddela/consumer/template/locale"
)

const (
	errPluralForms = misuse("plural takes a count, then pairs of a form and its text, of which one is other")
	errNoForm      = misuse("the form of a plural is zero, one, two, few, many or other, or a number such as =0")
)

// plural picks the text for a count: that of the exact number, such as =0, or
// else of the language's form for it, or else other. In the text # is the
// count; ## is a #.
func (l localized) plural(count any, forms ...any) (string, error) {
	d, err := toDecimal(count)
	switch {
	case err != nil:
		return "", err
	case len(forms)%2 != 0:
		return "", errPluralForms
	}
	picked, best := any(nil), notPicked
	wanted := l.locale.Plural(d)
	for i := 0; i < len(forms); i += 2 {
		form, ok := forms[i].(string)
		if !ok || !isForm(form) {
			return "", errNoForm
		}
		if rank := rankForm(form, d, wanted); rank > best {
			picked, best = forms[i+1], rank
		}
	}
	if best == notPicked {
		return "", errPluralForms
	}
	s, err := text(picked)
	if err != nil {
		return "", err
	}
	n := l.locale.Number(d)
	if len(s)+strings.Count(s, "#")*len(n) > MaxPartBytes {
		return "", errTooLarge
	}
	return l.written(strings.NewReplacer("##", "#", "#", n).Replace(s))
}

// How well a form fits a count.
const (
	notPicked = iota
	fitsAll
	fitsCategory
	fitsExactly
)

func rankForm(form string, count locale.Decimal, wanted locale.Category) int {
	exact, isExact := strings.CutPrefix(form, "=")
	n, _ := locale.ParseDecimal(exact)
	switch {
	case isExact && n.Equal(count):
		return fitsExactly
	case isExact:
		return notPicked
	case locale.Category(form) == wanted:
		return fitsCategory
	case locale.Category(form) == locale.Other:
		return fitsAll
	}
	return notPicked
}

func isForm(s string) bool {
	if exact, ok := strings.CutPrefix(s, "="); ok {
		_, ok = locale.ParseDecimal(exact)
		return ok
	}
	return locale.IsCategory(s)
}

// lacking lists the forms that a language needs and that are not among these.
func (l localized) lacking(forms map[string]bool) []string {
	var lack []string
	for _, c := range l.locale.Categories() {
		if !forms[string(c)] {
			lack = append(lack, string(c))
		}
	}
	slices.Sort(lack)
	return lack
}
