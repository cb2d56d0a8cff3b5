package template

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"text/template/parse"

	"github.com/meddela/meddela/consumer/template/locale"
)

// usage is what each function takes, as authors are told. A word that is here
// stands for the same kind of argument in all.
var usage = map[string]string{
	"json": "VALUE", "default": "FALLBACK VALUE", "has": "VALUE", "trim": "VALUE", "join": "SEPARATOR LIST",
	"link": "ADDRESS [KEY VALUE]...", "print": "VALUE...", "printf": "FORMAT VALUE...", "urlquery": "VALUE",
	"not": "VALUE",
	"eq":  "VALUE VALUE...", "ne": "VALUE VALUE", "lt": "VALUE VALUE", "le": "VALUE VALUE", "gt": "VALUE VALUE",
	"ge": "VALUE VALUE", "upper": "VALUE", "lower": "VALUE",
	"date": "STYLE TIME [ZONE]", "time": "STYLE TIME [ZONE]", "datetime": "STYLE TIME [ZONE]",
	"number": "VALUE [DECIMALS]", "percent": "VALUE [DECIMALS]", "currency": "CODE VALUE",
	"plural": `COUNT "one" TEXT ... "other" TEXT`, "truncate": "LENGTH VALUE",
}

// checkFunctions finds calls of functions that there are not.
func (s *treeSet) checkFunctions(tree *parse.Tree, from *source) {
	walk(tree.Root, func(node parse.Node) {
		id, ok := node.(*parse.IdentifierNode)
		if ok && ownNames[id.Ident] == nil && !otherNames[id.Ident] {
			s.fail(from, id.Pos, unknownFunction(id.Ident))
		}
	})
}

func unknownFunction(name string) string {
	var known []string
	for k := range ownNames {
		known = append(known, k)
	}
	for k := range otherNames {
		known = append(known, k)
	}
	slices.Sort(known)
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

// arguments are what a function is called with.
type arguments struct {
	nodes []parse.Node
	piped bool // one more, at the end
}

func (a arguments) count() int {
	if a.piped {
		return len(a.nodes) + 1
	}
	return len(a.nodes)
}

// text returns an argument that is written in the template itself.
func (a arguments) text(n int) (s string, ok bool) {
	if n >= len(a.nodes) {
		return "", false
	}
	node, ok := a.nodes[n].(*parse.StringNode)
	if !ok {
		return "", false
	}
	return node.Text, true
}

// checkCall finds what is wrong with a call for every event, and says it.
func checkCall(name string, a arguments, l localized) string {
	function := ownNames[name]
	if function == nil {
		return ""
	}
	t := reflect.TypeOf(function)
	if a.count() != t.NumIn() && (!t.IsVariadic() || a.count() < t.NumIn()-1) {
		return "the call must be: " + name + " " + usage[name]
	}
	var err error
	switch name {
	case "plural":
		return checkPlural(a, l)
	case "currency":
		if code, ok := a.text(0); ok && !locale.IsCurrency(strings.ToUpper(code)) {
			err = errNoCurrency
		}
	case "date":
		err = tryTime(l.date, a)
	case "time":
		err = tryTime(l.time, a)
	case "datetime":
		err = tryTime(l.datetime, a)
	case "number":
		_, err = l.number("1", tried(a, "", 1)[1:]...)
	case "percent":
		_, err = l.percent("1", tried(a, "", 1)[1:]...)
	case "truncate":
		_, err = l.truncate(tried(a, 1, "x")[0], "x")
	case "link":
		values := tried(a, "https://x.example", "x")
		_, err = link(values[0], values[1:]...)
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// tried are arguments to try a call with: those that are written in the template
// itself, and something that fits in place of the others.
func tried(a arguments, first, others any) []any {
	values := make([]any, a.count())
	for i := range values {
		values[i] = others
		if i == 0 {
			values[i] = first
		}
		if i >= len(a.nodes) {
			continue
		}
		switch n := a.nodes[i].(type) {
		case *parse.StringNode:
			values[i] = n.Text
		case *parse.NumberNode:
			values[i] = n.Float64
			if n.IsInt {
				values[i] = int(n.Int64)
			}
		}
	}
	return values
}

func tryTime(write func(string, any, ...string) (string, error), a arguments) error {
	values := tried(a, "short", "UTC")
	style, ok := values[0].(string)
	if !ok {
		return errNoStyle
	}
	var zones []string
	for _, zone := range values[2:] {
		name, ok := zone.(string)
		if !ok {
			return errNoZone
		}
		zones = append(zones, name)
	}
	_, err := write(style, "2026-12-01T08:00:00Z", zones...)
	return err
}

// checkPlural makes sure that each form that the language needs has its text.
func checkPlural(a arguments, l localized) string {
	first, isText := a.text(0)
	switch {
	case isText && isForm(first):
		return "the count comes first: plural " + usage["plural"]
	case a.count()%2 == 0:
		return errPluralForms.Error()
	}
	seen := make(map[string]bool)
	for i := 1; i < a.count(); i += 2 {
		form, ok := a.text(i)
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
	var lack []string
	for _, c := range l.locale.Categories() {
		if !seen[string(c)] {
			lack = append(lack, string(c))
		}
	}
	if lack == nil {
		return ""
	}
	slices.Sort(lack)
	return fmt.Sprintf("plural lacks %s: numbers in %q need one text each for those", strings.Join(lack, ", "),
		l.locale.Name())
}
