package template

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/meddela/meddela/consumer/template/locale"
	"github.com/meddela/meddela/topology/nearest"
)

func (s *treeSet) unknownFunction(name string) string {
	known := slices.Sorted(maps.Keys(s.functions))
	return fmt.Sprintf("there is no function %q", name) + cmp.Or(nearest.DidYouMean(strings.ToLower(name), known),
		": there are "+strings.Join(known, ", ")+"; a value starts with a dot, such as .ctx.name")
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
	"plural":   {[]value{ofInt(1), ofString("other")}, -1},
}

// checkCall finds what is wrong with a call for every event, and says it. Of its
// arguments those are missing that only an event tells.
func (s *treeSet) checkCall(name string, args []value) string {
	function := s.functions[name]
	usage := "the call must be: " + name + " " + function.usage
	if len(args) < function.least || len(args) > function.most {
		return usage
	}
	if name == "plural" && isForm(args[0].text) {
		return "the count comes first: plural " + function.usage
	}
	if name == "currency" && args[0].kind != missing && !locale.IsCurrency(strings.ToUpper(args[0].text)) {
		return string(errNoCurrency)
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
	switch why := refusal(function.do, in); {
	case why == errMisfit:
		return usage
	case why == "" && name == "plural":
		return checkPlural(args, s.locale)
	default:
		return string(why)
	}
}

// refusal is why a function does not take arguments; empty when it does.
func refusal(do func(args []value) value, args []value) (why misuse) {
	defer func() {
		if refused := recover(); refused != nil {
			why = refused.(misuse)
		}
	}()
	do(args)
	return ""
}

// checkPlural makes sure that each form that the language needs has its text.
func checkPlural(args []value, l *locale.Locale) string {
	seen := make(map[string]bool)
	for i := 1; i < len(args); i += 2 {
		form := args[i].text
		switch {
		case args[i].kind == missing:
			return ""
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
