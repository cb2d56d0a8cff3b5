package template

import (
	"fmt"
	"reflect"
	"strings"
	"text/template/parse"

	"github.com/meddela/meddela/consumer/template/locale"
)

// usage is what each function takes, as authors are told.
var usage = map[string]string{
	"json": "VALUE", "default": "FALLBACK VALUE", "has": "VALUE", "trim": "VALUE", "join": "SEPARATOR LIST",
	"link": "ADDRESS [KEY VALUE]...", "print": "VALUE...", "printf": "FORMAT VALUE...", "urlquery": "VALUE", "not": "VALUE",
	"eq": "VALUE VALUE...", "ne": "VALUE VALUE", "lt": "VALUE VALUE", "le": "VALUE VALUE", "gt": "VALUE VALUE", "ge": "VALUE VALUE",
	"upper": "VALUE", "lower": "VALUE", "date": "STYLE TIME [ZONE]", "time": "STYLE TIME [ZONE]", "datetime": "STYLE TIME [ZONE]",
	"number": "VALUE [DECIMALS]", "percent": "VALUE [DECIMALS]", "currency": "CODE VALUE",
	"plural": `COUNT "one" TEXT ... "other" TEXT`, "truncate": "LENGTH VALUE",
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
	if t := reflect.TypeOf(function); !takes(t, a.count()) {
		return "the call must be: " + name + " " + usage[name]
	}
	var err error
	switch name {
	case "date", "time", "datetime":
		err = checkDate(name, a)
	case "number", "percent":
		err = checkNumber(a)
	case "currency":
		if code, ok := a.text(0); ok && !locale.IsCurrency(strings.ToUpper(code)) {
			err = errNoCurrency
		}
	case "truncate":
		err = checkLength(a)
	case "plural":
		return checkPlural(a, l)
	case "link":
		err = checkLink(a)
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

func takes(function reflect.Type, arguments int) bool {
	if function.IsVariadic() {
		return arguments >= function.NumIn()-1
	}
	return arguments == function.NumIn()
}

func checkDate(name string, a arguments) error {
	if zone, ok := a.text(2); ok {
		if _, err := zoneOf([]string{zone}); err != nil {
			return err
		}
	}
	style, ok := a.text(0)
	known, isStyle := locale.StyleOf(style)
	switch {
	case a.count() > 3:
		return errNoZone
	case !ok:
	case name == "time" && (isStyle && known != locale.Short && known != locale.Medium || !isStyle && !locale.IsLayout(style)):
		return errTimeStyle
	case !isStyle && !locale.IsLayout(style):
		return errNoStyle
	}
	return nil
}

func checkNumber(a arguments) error {
	if a.count() > 2 {
		return errNoDecimals
	}
	if len(a.nodes) == 2 {
		if n, ok := a.nodes[1].(*parse.NumberNode); ok && (!n.IsInt || n.Int64 < 0 || n.Int64 > 20) {
			return errNoDecimals
		}
	}
	return nil
}

func checkLength(a arguments) error {
	if n, ok := a.nodes[0].(*parse.NumberNode); ok && (!n.IsInt || n.Int64 < 1 || n.Int64 > maxTruncated) {
		return errNoLength
	}
	return nil
}

func checkLink(a arguments) error {
	if a.count()%2 == 0 {
		return errLinkPairs
	}
	base, ok := a.text(0)
	if !ok {
		return nil
	}
	u, err := parseAddress(base)
	if err == nil && u.Scheme == "tel" && a.count() > 1 {
		return errLinkPairs
	}
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
	if lack := l.lacking(seen); len(lack) > 0 {
		return fmt.Sprintf("plural lacks %s: numbers in %q need one text each for those", strings.Join(lack, ", "), l.locale.Name())
	}
	return ""
}
