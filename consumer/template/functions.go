package template

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// function is one that templates may call, and what it takes, as authors are
// told.
type function struct {
	usage string
	do    any // nil for Go's own, and for index, which becomes a function that knows its line at each use
}

// functions are all that templates may call. None of them has effects, and none
// returns more than MaxPartBytes. A word of usage stands for the same kind of
// argument in all.
func (l localized) functions() map[string]function {
	return map[string]function{
		"and": {}, "or": {}, "len": {}, "index": {},
		"json":     {"VALUE", toJSON},
		"default":  {"FALLBACK VALUE", orDefault},
		"has":      {"VALUE", func(v any) bool { return v != nil }},
		"trim":     {"VALUE", ofText(strings.TrimSpace)},
		"join":     {"SEPARATOR LIST", join},
		"link":     {"ADDRESS [KEY VALUE]...", link},
		"print":    {"VALUE...", printAll},
		"printf":   {"FORMAT VALUE...", printFormat},
		"urlquery": {"VALUE", ofText(url.QueryEscape)},
		"not":      {"VALUE", func(v any) bool { return !truth(v) }},
		"eq":       {"VALUE VALUE...", eq},
		"ne":       {"VALUE VALUE", ne},
		"lt":       {"VALUE VALUE", ordered(func(order int) bool { return order < 0 })},
		"le":       {"VALUE VALUE", ordered(func(order int) bool { return order <= 0 })},
		"gt":       {"VALUE VALUE", ordered(func(order int) bool { return order > 0 })},
		"ge":       {"VALUE VALUE", ordered(func(order int) bool { return order >= 0 })},
		"upper":    {"VALUE", ofText(l.upper)},
		"lower":    {"VALUE", ofText(l.lower)},
		"date":     {"STYLE TIME [ZONE]", l.moment("date", errNoStyle)},
		"time":     {"STYLE TIME [ZONE]", l.moment("time", errTimeStyle)},
		"datetime": {"STYLE TIME [ZONE]", l.moment("datetime", errNoStyle)},
		"number":   {"VALUE [DECIMALS]", l.rounded(0, l.locale.Number)},
		"percent":  {"VALUE [DECIMALS]", l.rounded(2, l.locale.Percent)},
		"currency": {"CODE VALUE", l.currency},
		"plural":   {`COUNT "one" TEXT ... "other" TEXT`, l.plural},
		"truncate": {"LENGTH VALUE", l.truncate},
	}
}

// ofText is a function that makes a text of another.
func ofText(change func(string) string) func(any) (string, error) {
	return func(v any) (string, error) {
		s, err := text(v)
		if err != nil {
			return "", err
		}
		return bounded(change(s))
	}
}

// text is the one obvious text of a value.
func text(v any) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case json.Number:
		return string(v), nil
	case bool:
		return strconv.FormatBool(v), nil
	case int:
		return strconv.Itoa(v), nil
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64), nil
	}
	return "", misuse("a function was given a list or an object where it takes a text or a number")
}

func bounded(s string) (string, error) {
	if len(s) > MaxPartBytes {
		return "", errTooLarge
	}
	return s, nil
}

// toJSON writes a value as JSON: texts quoted, objects and lists whole.
func toJSON(v any) (string, error) {
	switch v.(type) {
	case *data, *eventData:
		return "", misuse("json takes a value of ctx, not the whole event: name it")
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if encoder.Encode(v) != nil {
		return "", misuse("json was given what is not JSON")
	}
	return bounded(strings.TrimSuffix(b.String(), "\n"))
}

// orDefault returns the value, or the fallback when it is missing, null or an
// empty text.
func orDefault(fallback, value any) any {
	if value == nil || value == "" {
		return fallback
	}
	return value
}

// texts are those of several values, together no larger than a part may be.
func texts(values []any) ([]string, error) {
	all, size := make([]string, len(values)), 0
	for i, v := range values {
		s, err := text(v)
		if err != nil {
			return nil, err
		}
		if size += len(s); size > MaxPartBytes {
			return nil, errTooLarge
		}
		all[i] = s
	}
	return all, nil
}

// printAll writes its arguments side by side, with nothing between.
func printAll(args ...any) (string, error) {
	all, err := texts(args)
	return strings.Join(all, ""), err
}

// printFormat is fmt.Sprintf, but an error where a verb does not fit.
func printFormat(format string, args ...any) (string, error) {
	all, err := texts(args)
	if err != nil {
		return "", err
	}
	inArgs := 0
	for i, arg := range args {
		inArgs += strings.Count(all[i], "%!")
		if n, ok := arg.(json.Number); ok {
			args[i] = formatted(n)
		}
	}
	if strings.Count(format, "%") > maxVerbs || wide.MatchString(format) {
		return "", misuse("printf has too many verbs, or a width of over 999 or from an argument")
	}
	s := fmt.Sprintf(format, args...)
	if strings.Count(s, "%!") > inArgs {
		return "", misuse("printf has a verb that does not fit its value")
	}
	return bounded(s)
}

// maxVerbs and wide bound what one printf can make of little.
const maxVerbs = 32

var wide = regexp.MustCompile(`%[-+# 0]*([0-9]{4}|[0-9]*\.[0-9]{4}|[0-9.]*[*[])`)

// formatted is a number of JSON that every verb for numbers can write.
type formatted json.Number

func (n formatted) Format(f fmt.State, verb rune) {
	var v any = string(n)
	switch verb {
	case 's', 'v', 'q':
	default:
		if parsed, ok := toNumber(json.Number(n)); ok {
			v = parsed.float
			if parsed.whole && verb != 'f' && verb != 'g' && verb != 'e' {
				v = parsed.int
			}
		}
	}
	fmt.Fprintf(f, fmt.FormatString(f, verb), v)
}

// quoted escapes a value for a place within a string of JSON.
func quoted(v any) (string, error) {
	s, err := text(v)
	if err != nil {
		return "", err
	}
	s, err = toJSON(s)
	if err != nil {
		return "", err
	}
	return s[1 : len(s)-1], nil
}

const errNoList = misuse("join was given what is not a list of texts and numbers")

// join writes the elements of a list with a text between them.
func join(separator string, list any) (string, error) {
	elements, ok := list.([]any)
	if !ok {
		return "", errNoList
	}
	all, err := texts(elements)
	switch {
	case errors.Is(err, errTooLarge) || len(separator)*len(all) > MaxPartBytes:
		return "", errTooLarge
	case err != nil:
		return "", errNoList
	}
	return bounded(strings.Join(all, separator))
}

// number is a value of JSON, or of a template, as a number.
type number struct {
	float float64
	int   int64
	whole bool // int is exact
}

func toNumber(v any) (number, bool) {
	switch v := v.(type) {
	case json.Number:
		if i, err := strconv.ParseInt(string(v), 10, 64); err == nil {
			return wholeNumber(i), true
		}
		f, err := strconv.ParseFloat(string(v), 64)
		return number{float: f}, err == nil
	case int:
		return wholeNumber(int64(v)), true
	case float64:
		return number{float: v}, true
	}
	return number{}, false
}

// toInt returns a whole number that lies within bounds.
func toInt(v any, least, most int) (n int, ok bool) {
	i, ok := toNumber(v)
	return int(i.int), ok && i.whole && i.int >= int64(least) && i.int <= int64(most)
}

func wholeNumber(i int64) number { return number{float: float64(i), int: i, whole: true} }

const errUnlike = misuse("compares values of different kinds, such as a text with a number")

// compare orders two numbers or two texts.
func compare(a, b any) (int, error) {
	if x, ok := toNumber(a); ok {
		y, ok := toNumber(b)
		switch {
		case !ok:
			return 0, errUnlike
		case x.whole && y.whole:
			return cmp.Compare(x.int, y.int), nil
		}
		return cmp.Compare(x.float, y.float), nil
	}
	x, ok := a.(string)
	y, okToo := b.(string)
	if !ok || !okToo {
		return 0, errUnlike
	}
	return cmp.Compare(x, y), nil
}

func equal(a, b any) (bool, error) {
	if x, ok := a.(bool); ok {
		y, ok := b.(bool)
		if !ok {
			return false, errUnlike
		}
		return x == y, nil
	}
	order, err := compare(a, b)
	return order == 0, err
}

// eq reports whether the first value equals any of the others.
func eq(first, second any, others ...any) (bool, error) {
	same, err := equal(first, second)
	for _, other := range others {
		if same || err != nil {
			break
		}
		same, err = equal(first, other)
	}
	return same, err
}

func ne(a, b any) (bool, error) {
	same, err := equal(a, b)
	return !same, err
}

// ordered is a function that reports whether the order of two values is as it
// should be.
func ordered(is func(order int) bool) func(a, b any) (bool, error) {
	return func(a, b any) (bool, error) {
		order, err := compare(a, b)
		return err == nil && is(order), err
	}
}
