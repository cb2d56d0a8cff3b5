package template

import (
	"cmp"
	"encoding/json"
	"math"
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
	in      *reader
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

// reader decodes what a rendering looks into.
type reader struct {
	clean cleaner
	left  int // members and elements that may still be decoded
}

// newRoot is what a template sees of an event: "ctx" and "event".
func newRoot(ev *topology.Event, clean cleaner) value {
	ctx := gjson.ParseBytes(ev.Ctx)
	refuse(!ctx.IsObject(), "the event's ctx is not a JSON object")
	in := &reader{clean, maxMembers}
	return value{kind: event, node: &node{decoded: true, members: []member{
		{"ctx", in.valueOf(ctx)},
		{"event", value{kind: event, node: &node{fields: ev, in: in}}},
	}}}
}

func (in *reader) valueOf(v gjson.Result) value {
	switch v.Type {
	case gjson.String:
		return ofString(in.clean(v.Str))
	case gjson.Number:
		return value{kind: numeric, text: v.Raw}
	case gjson.True, gjson.False:
		return ofBool(v.Type == gjson.True)
	case gjson.Null:
		return value{}
	}
	within := &node{raw: v.Raw, in: in}
	if v.IsArray() {
		return value{kind: list, node: within}
	}
	return value{kind: object, node: within}
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
		n.in.left--
		refuse(n.in.left < 0, errTooMany)
		n.members = append(n.members, member{n.in.clean(key.Str), n.in.valueOf(v)})
		return true
	})
	if strings.HasPrefix(n.raw, "{") {
		slices.Reverse(n.members)
		slices.SortStableFunc(n.members, func(a, b member) int { return strings.Compare(a.key, b.key) })
		n.members = slices.CompactFunc(n.members, func(a, b member) bool { return a.key == b.key })
	}
	return n.members
}

func (v value) member(key string) value {
	switch {
	case v.node == nil || v.kind == list:
		return value{}
	case v.node.fields != nil:
		return v.node.field(key)
	}
	all := v.node.all()
	i, found := slices.BinarySearchFunc(all, key, func(m member, key string) int { return strings.Compare(m.key, key) })
	if !found {
		return value{}
	}
	return all[i].value
}

// field returns a field of an event by its wire name.
func (n *node) field(key string) value {
	times := map[string]time.Time{"scheduled": n.fields.Scheduled, "expiration": n.fields.Expiration}
	if at := times[key]; !at.IsZero() {
		return ofString(at.UTC().Format(topology.TimeFormat))
	}
	if text, ok := condition.Texts[key]; ok && text(n.fields) != "" {
		return ofString(n.in.clean(text(n.fields)))
	}
	return value{}
}

// index reads an element of a list, or the value under a key that is no
// identifier.
func index(args []value) value {
	v := args[0]
	for _, key := range args[1:] {
		if i, ok := toInt(key, 0, math.MaxInt); ok && v.kind == list && i < len(v.node.all()) {
			v = v.node.all()[i].value
		} else {
			refuse(key.kind != textual, errMissing)
			v = v.member(key.text)
		}
		refuse(v.kind == missing, errMissing)
	}
	return v
}

// length counts the elements or members, or the bytes of a text.
func length(args []value) value {
	v := args[0]
	if v.kind == list || v.kind == object {
		return ofInt(len(v.node.all()))
	}
	refuse(v.kind != textual && v.kind != numeric, errMisfit)
	return ofInt(len(v.text))
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
func compare(a, b value) int {
	x, isNumber := toNumber(a)
	y, bothAre := toNumber(b)
	switch {
	case isNumber && bothAre && x.whole && y.whole:
		return cmp.Compare(x.int, y.int)
	case isNumber && bothAre:
		return cmp.Compare(x.float, y.float)
	}
	refuse(a.kind != textual || b.kind != textual, errUnlike)
	return cmp.Compare(a.text, b.text)
}

// eq reports whether the first value equals any of the others.
func eq(args []value) value {
	return ofBool(slices.ContainsFunc(args[1:], func(other value) bool {
		if args[0].kind == boolean && other.kind == boolean {
			return args[0] == other
		}
		return compare(args[0], other) == 0
	}))
}

// ordered is a function that reports whether the order of two values is as it
// should be.
func ordered(is func(order int) bool) func(args []value) value {
	return func(args []value) value { return ofBool(is(compare(args[0], args[1]))) }
}
