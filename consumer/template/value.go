package template

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"

	"github.com/meddela/meddela/consumer/template/condition"
	"github.com/meddela/meddela/topology"
)

// value is what templates work with: something of the event, or what a function
// made of that. The zero value is what is missing, or null.
type value struct {
	kind kind
	text string // the one obvious text of a scalar
	node *node  // what there is in all others
}

type kind byte

const (
	missing  kind = iota
	textual       // from here on scalars
	numeric       // as it was sent: 129.90 stays 129.90
	whole         // a number that the template itself has or counted
	fraction      // likewise
	boolean       // the last of the scalars
	list
	object
	event // with its fields, or with what "." is at first: it has members, and is nothing by itself
)

func ofString(s string) value { return value{kind: textual, text: s} }
func ofInt(n int) value       { return value{kind: whole, text: strconv.Itoa(n)} }
func ofBool(b bool) value     { return value{kind: boolean, text: strconv.FormatBool(b)} }

// isScalar reports whether a value has one obvious text.
func (v value) isScalar() bool { return v.kind >= textual && v.kind <= boolean }

// node is a list or an object of the event's JSON. It is decoded, one level of it,
// when a template first looks into it.
type node struct {
	raw     string // not checked again: whoever decodes an event has done so
	clean   cleaner
	fields  *topology.Event // that are in place of JSON
	decoded bool
	members []member // of an object, by key, or of a list
}

type member struct {
	key   string
	value value
}

// cleaner is what texts go through on their way into a message. People are
// shown them sanitized; machines are given them as they are.
type cleaner func(string) string

func cleanerOf(c topology.Channel) cleaner {
	if c == topology.Webhook {
		return func(s string) string { return s }
	}
	return sanitize
}

// newRoot is what a template sees of an event: "ctx" and "event".
func newRoot(ev *topology.Event, clean cleaner) (value, error) {
	ctx := gjson.ParseBytes(ev.Ctx)
	if !ctx.IsObject() {
		return value{}, misuse("the event's ctx is not a JSON object")
	}
	return value{kind: event, node: &node{decoded: true, members: []member{
		{"ctx", clean.valueOf(ctx)},
		{"event", value{kind: event, node: &node{fields: ev, clean: clean}}},
	}}}, nil
}

func (c cleaner) valueOf(v gjson.Result) value {
	switch v.Type {
	case gjson.String:
		return ofString(c(v.Str))
	case gjson.Number:
		return value{kind: numeric, text: v.Raw}
	case gjson.True, gjson.False:
		return ofBool(v.Type == gjson.True)
	case gjson.Null:
		return value{}
	}
	in := &node{raw: v.Raw, clean: c}
	if v.IsArray() {
		return value{kind: list, node: in}
	}
	return value{kind: object, node: in}
}

// all are the members of an object, sorted, or the elements of a list. Of a key
// that comes twice the last counts.
func (n *node) all() []member {
	if n.decoded {
		return n.members
	}
	n.decoded = true
	n.members = make([]member, 0, 4)
	gjson.Result{Type: gjson.JSON, Raw: n.raw}.ForEach(func(key, v gjson.Result) bool {
		n.members = append(n.members, member{n.clean(key.Str), n.clean.valueOf(v)})
		return true
	})
	if strings.HasPrefix(n.raw, "{") {
		slices.SortStableFunc(n.members, func(a, b member) int { return strings.Compare(a.key, b.key) })
		kept := n.members[:0]
		for i, m := range n.members {
			if i+1 == len(n.members) || n.members[i+1].key != m.key {
				kept = append(kept, m)
			}
		}
		n.members = kept
	}
	return n.members
}

// member returns the value under a key.
func (v value) member(key string) value {
	switch {
	case v.node == nil || v.kind == list:
		return value{}
	case v.node.fields != nil:
		if text := eventField(v.node.fields, key); text != "" {
			return ofString(v.node.clean(text))
		}
		return value{}
	}
	all := v.node.all()
	i, found := slices.BinarySearchFunc(all, key, func(m member, key string) int { return strings.Compare(m.key, key) })
	if !found {
		return value{}
	}
	return all[i].value
}

// eventField returns a field of an event by its wire name; empty when the
// event does not have it.
func eventField(e *topology.Event, key string) string {
	var at time.Time
	switch key {
	case "scheduled":
		at = e.Scheduled
	case "expiration":
		at = e.Expiration
	default:
		if text, ok := condition.Texts[key]; ok {
			return text(e)
		}
	}
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format(topology.TimeFormat)
}

// errMissing is what a function returns that found nothing where it looked.
const errMissing = misuse("there is no such element")

// index reads an element of a list, or the value under a key that is no
// identifier.
func index(args []value) (value, error) {
	v := args[0]
	for _, key := range args[1:] {
		if i, ok := toInt(key, 0, 1<<30); ok && v.kind == list && i < len(v.node.all()) {
			v = v.node.all()[i].value
		} else if key.kind == textual {
			v = v.member(key.text)
		} else {
			v = value{}
		}
		if v.kind == missing {
			return v, errMissing
		}
	}
	return v, nil
}

// length counts the elements or members, or the bytes of a text.
func length(args []value) (value, error) {
	switch v := args[0]; v.kind {
	case textual, numeric:
		return ofInt(len(v.text)), nil
	case list, object:
		return ofInt(len(v.node.all())), nil
	}
	return value{}, errMisfit
}

// truth reports whether a value counts as true: not false, not zero, not empty.
func (v value) truth() bool {
	switch v.kind {
	case missing:
		return false
	case textual:
		return v.text != ""
	case boolean:
		return v.text == "true"
	case list, object:
		return len(v.node.all()) > 0
	case event:
		return true
	}
	n, ok := toNumber(v)
	return ok && n.float != 0
}

// bare is the value as Go has it.
func (v value) bare() any {
	switch v.kind {
	case textual:
		return v.text
	case numeric:
		return json.Number(v.text)
	case boolean:
		return v.truth()
	case whole, fraction:
		n, _ := toNumber(v)
		if v.kind == whole {
			return int(n.int)
		}
		return n.float
	case list:
		all := make([]any, 0, len(v.node.all()))
		for _, m := range v.node.all() {
			all = append(all, m.value.bare())
		}
		return all
	case object:
		all := make(map[string]any, len(v.node.all()))
		for _, m := range v.node.all() {
			all[m.key] = m.value.bare()
		}
		return all
	}
	return nil
}

// number is a value as a number.
type number struct {
	float float64
	int   int64
	whole bool // int is exact
}

func toNumber(v value) (number, bool) {
	if v.kind != numeric && v.kind != whole && v.kind != fraction {
		return number{}, false
	}
	if i, err := strconv.ParseInt(v.text, 10, 64); err == nil && v.kind != fraction {
		return number{float: float64(i), int: i, whole: true}, true
	}
	f, err := strconv.ParseFloat(v.text, 64)
	return number{float: f}, err == nil
}

// toInt returns a whole number that lies within bounds.
func toInt(v value, least, most int) (n int, ok bool) {
	i, ok := toNumber(v)
	return int(i.int), ok && i.whole && i.int >= int64(least) && i.int <= int64(most)
}

const errUnlike = misuse("compares values of different kinds, such as a text with a number")

// compare orders two numbers or two texts.
func compare(a, b value) (int, error) {
	x, ok := toNumber(a)
	y, okToo := toNumber(b)
	switch {
	case ok && okToo && x.whole && y.whole:
		return cmp.Compare(x.int, y.int), nil
	case ok && okToo:
		return cmp.Compare(x.float, y.float), nil
	case a.kind == textual && b.kind == textual:
		return cmp.Compare(a.text, b.text), nil
	}
	return 0, errUnlike
}

// eq reports whether the first value equals any of the others.
func eq(args []value) (value, error) {
	for _, other := range args[1:] {
		order := 0
		var err error
		if args[0].kind == boolean && other.kind == boolean {
			order = cmp.Compare(args[0].text, other.text)
		} else {
			order, err = compare(args[0], other)
		}
		if err != nil || order == 0 {
			return ofBool(err == nil), err
		}
	}
	return ofBool(false), nil
}

func ne(args []value) (value, error) {
	same, err := eq(args)
	return ofBool(!same.truth()), err
}

// ordered is a function that reports whether the order of two values is as it
// should be.
func ordered(is func(order int) bool) func(args []value) (value, error) {
	return func(args []value) (value, error) {
		order, err := compare(args[0], args[1])
		return ofBool(err == nil && is(order)), err
	}
}
