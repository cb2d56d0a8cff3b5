package template

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"text/template/parse"

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

// constants are the arguments of a call: the texts and numbers that are written
// in the template itself, and nil for what only an event tells.
func constants(nodes []parse.Node, piped bool) []any {
	var args []any
	for _, node := range nodes {
		var arg any
		switch n := node.(type) {
		case *parse.StringNode:
			arg = n.Text
		case *parse.NumberNode:
			arg = n.Float64
			if n.IsInt {
				arg = int(n.Int64)
			}
		}
		args = append(args, arg)
	}
	if piped {
		args = append(args, nil)
	}
	return args
}

// trials are calls that succeed: what fits in place of what only an event tells,
// the last as often as it takes. In place of the value, if there is one, it
// stands always.
var trials = map[string]struct {
	fits  []any
	value int
}{
	"date":     {[]any{"short", "2026-12-01T08:00:00Z", "UTC"}, 1},
	"time":     {[]any{"short", "2026-12-01T08:00:00Z", "UTC"}, 1},
	"datetime": {[]any{"short", "2026-12-01T08:00:00Z", "UTC"}, 1},
	"number":   {[]any{"1", 1}, 0},
	"percent":  {[]any{"1", 1}, 0},
	"truncate": {[]any{1, "x"}, 1},
	"link":     {[]any{"https://x.example", "x"}, -1},
}

// checkCall finds what is wrong with a call for every event, and says it.
func (s *treeSet) checkCall(name string, args []any) string {
	function := s.functions[name]
	if function.do == nil {
		return ""
	}
	usage := "the call must be: " + name + " " + function.usage
	do := reflect.ValueOf(function.do)
	t := do.Type()
	if len(args) != t.NumIn() && (!t.IsVariadic() || len(args) < t.NumIn()-1) {
		return usage
	}
	switch name {
	case "plural":
		return checkPlural(args, s.locale, function.usage)
	case "currency":
		if code, ok := args[0].(string); ok && !locale.IsCurrency(strings.ToUpper(code)) {
			return errNoCurrency.Error()
		}
	}
	trial, ok := trials[name]
	if !ok {
		return ""
	}
	in := make([]reflect.Value, len(args))
	for i, arg := range args {
		if arg == nil || i == trial.value {
			arg = trial.fits[min(i, len(trial.fits)-1)]
		}
		in[i] = reflect.ValueOf(arg)
		takes := t.In(min(i, t.NumIn()-1))
		if t.IsVariadic() && i >= t.NumIn()-1 {
			takes = takes.Elem()
		}
		if !in[i].Type().AssignableTo(takes) {
			return usage
		}
	}
	if err, ok := do.Call(in)[1].Interface().(error); ok {
		return err.Error()
	}
	return ""
}

// checkPlural makes sure that each form that the language needs has its text.
func checkPlural(args []any, l *locale.Locale, usage string) string {
	first, isText := args[0].(string)
	switch {
	case isText && isForm(first):
		return "the count comes first: plural " + usage
	case len(args)%2 == 0:
		return errPluralForms.Error()
	}
	seen := make(map[string]bool)
	for i := 1; i < len(args); i += 2 {
		form, ok := args[i].(string)
		switch {
		case !ok:
			return ""
		case !isForm(form):
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
