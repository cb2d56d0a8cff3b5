package template

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/meddela/meddela/consumer/template/locale"
)

func (s *treeSet) unknownFunction(name string) string {
	known := slices.Sorted(maps.Keys(s.functions))
	unknown := fmt.Sprintf("there is no function %q", name)
	if near := slices.IndexFunc(known, func(k string) bool { return similar(name, k) }); near >= 0 {
		return unknown + ": did you mean " + known[near] + "?"
	}
	return unknown + ": there are " + strings.Join(known, ", ") + "; a value starts with a dot, such as .ctx.name"
}

// similar reports whether two words are the same but for case, or for one letter
// that is added, missing, changed or swapped with its neighbour.
func similar(a, b string) bool {
	a, b = strings.ToLower(a), strings.ToLower(b)
	if a == b {
		return true
	}
	if len(a) > len(b) {
		a, b = b, a
	}
	if len(b) < 3 || len(b)-len(a) > 1 {
		return false
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	if len(a) < len(b) {
		return a[i:] == b[i+1:]
	}
	return a[i+1:] == b[i+1:] || i+1 < len(a) && a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
}

// trials are calls that succeed: what fits in place of what only an event tells,
// the last as often as it takes. In place of the value, if there is one, it
// stands always.
var trials = map[string]struct {
	fits  []value
	value int
}{
	"date":     {[]value{ofString("short"), ofString("2026-12-01T08:00:00Z"), ofString("UTC")}, 1},
	"time":     {[]value{ofString("short"), ofString("2026-12-01T08:00:00Z"), ofString("UTC")}, 1},
	"datetime": {[]value{ofString("short"), ofString("2026-12-01T08:00:00Z"), ofString("UTC")}, 1},
	"number":   {[]value{ofInt(1)}, 0},
	"percent":  {[]value{ofInt(1)}, 0},
	"truncate": {[]value{ofInt(1)}, 1},
	"link":     {[]value{ofString("https://x.example"), ofString("x")}, -1},
}

// checkCall finds what is wrong with a call for every event, and says it. Of its
// arguments those are missing that only an event tells.
func (s *treeSet) checkCall(name string, args []value) string {
	function := s.functions[name]
	usage := "the call must be: " + name + " " + function.usage
	if len(args) < function.least || len(args) > function.most {
		return usage
	}
	switch name {
	case "plural":
		return checkPlural(args, s.locale, function.usage)
	case "currency":
		if code := args[0]; code.kind != missing && !locale.IsCurrency(strings.ToUpper(code.text)) {
			return errNoCurrency.Error()
		}
	}
	trial, ok := trials[name]
	if !ok {
		return ""
	}
	in := slices.Clone(args)
	for i, arg := range in {
		if arg.kind == missing || i == trial.value {
			in[i] = trial.fits[min(i, len(trial.fits)-1)]
		}
	}
	switch _, err := function.do(in); err {
	case nil:
		return ""
	case errMisfit:
		return usage
	default:
		return err.Error()
	}
}

// checkPlural makes sure that each form that the language needs has its text.
func checkPlural(args []value, l *locale.Locale, usage string) string {
	switch {
	case args[0].kind == textual && isForm(args[0].text):
		return "the count comes first: plural " + usage
	case len(args)%2 == 0:
		return errPluralForms.Error()
	}
	seen := make(map[string]bool)
	for i := 1; i < len(args); i += 2 {
		form := args[i].text
		switch {
		case args[i].kind == missing:
			return ""
		case args[i].kind != textual || !isForm(form):
			return errNoForm.Error()
		case seen[form]:
			return fmt.Sprintf("the form %q is there twice", form)
		}
		seen[form] = true
	}
	lack := slices.DeleteFunc(l.Categories(), func(c string) bool { return seen[c] })
	if len(lack) == 0 {
		return ""
	}
	slices.Sort(lack)
	return fmt.Sprintf("plural lacks %s: numbers in %q need one text each for those", strings.Join(lack, ", "), l.Name())
}
