package condition

import (
	"fmt"
	"reflect"
	"strconv"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"github.com/tidwall/gjson"
)

// What conditions look into. An event may have more, where they do not look.
const (
	maxElements = 10_000 // of one list, or members of one object
	maxDepth    = 20     // of lists and objects within each other, ctx being the first
)

// node is a list or an object in an event. It is decoded, one level of it, when
// a condition first looks into it.
type node struct {
	raw     gjson.Result
	depth   int // from 1, which is ctx itself
	meter   *meter
	counted int // the last evaluation that the meter counted it for
}

// valueOf is a JSON value in the node as CEL has it: numbers without fraction or
// exponent are whole.
func (n *node) valueOf(v gjson.Result) ref.Val {
	switch v.Type {
	case gjson.String:
		return types.String(v.Str)
	case gjson.Number:
		if n, err := strconv.ParseInt(v.Raw, 10, 64); err == nil {
			return types.Int(n)
		}
		return types.Double(v.Num)
	case gjson.True:
		return types.True
	case gjson.False:
		return types.False
	case gjson.Null:
		return types.NullValue
	}
	within := node{raw: v, depth: n.depth + 1, meter: n.meter}
	if v.IsObject() {
		return &object{node: within}
	}
	return &list{node: within}
}

func (n *node) checkDepth() {
	if n.depth > maxDepth {
		end(fmt.Sprintf("it looks into what is nested deeper than %d, which is too much for a condition", maxDepth))
	}
}

// each calls do with every element or member, at most maxElements.
func (n *node) each(do func(key string, value ref.Val)) {
	n.checkDepth()
	count := 0
	n.raw.ForEach(func(k, v gjson.Result) bool {
		if count++; count > maxElements {
			end(fmt.Sprintf("it looks into a list or an object with more than %d elements, "+
				"which is too much for a condition", maxElements))
		}
		do(k.Str, n.valueOf(v))
		return true
	})
}

// list is a JSON array as a CEL list.
type list struct {
	node
	decoded traits.Lister
}

func (l *list) all() traits.Lister {
	if l.decoded == nil {
		var elements []ref.Val
		l.each(func(_ string, v ref.Val) { elements = append(elements, v) })
		l.decoded = types.NewRefValList(types.DefaultTypeAdapter, elements)
	}
	l.meter.count(&l.counted, l.decoded.Size())
	return l.decoded
}

func (l *list) Add(other ref.Val) ref.Val                   { return l.all().Add(other) }
func (l *list) Contains(element ref.Val) ref.Val            { return l.all().Contains(element) }
func (l *list) Get(index ref.Val) ref.Val                   { return l.all().Get(index) }
func (l *list) Iterator() traits.Iterator                   { return l.all().Iterator() }
func (l *list) Size() ref.Val                               { return l.all().Size() }
func (l *list) Type() ref.Type                              { return types.ListType }
func (l *list) Value() any                                  { return l.all().Value() }
func (l *list) Equal(other ref.Val) ref.Val                 { return l.all().Equal(other) }
func (l *list) ConvertToType(t ref.Type) ref.Val            { return l.all().ConvertToType(t) }
func (l *list) ConvertToNative(t reflect.Type) (any, error) { return l.all().ConvertToNative(t) }

// object is a JSON object as a CEL map. Members of a short one are looked up in
// the text; it is decoded only where a condition asks for all of it, or for so
// many that going through the text each time would cost more.
type object struct {
	node
	found   []member
	decoded traits.Mapper
}

// member is what was looked up: an absent one has no value.
type member struct {
	key   types.String
	value ref.Val
}

const (
	fewLookups = 8       // are made in the text
	shortText  = 4 << 10 // bytes, in which looking up is quicker than decoding
)

func (o *object) whole() traits.Mapper {
	if o.decoded == nil {
		members := make(map[ref.Val]ref.Val)
		o.each(func(key string, v ref.Val) { members[types.String(key)] = v })
		for _, m := range o.found {
			if m.value != nil {
				members[m.key] = m.value // with what is decoded of it
			}
		}
		o.decoded = types.NewRefValMap(types.DefaultTypeAdapter, members)
	}
	return o.decoded
}

func (o *object) all() traits.Mapper {
	all := o.whole()
	o.meter.count(&o.counted, all.Size())
	return all
}

// Find returns the value under a key. Of a key that comes twice the last counts.
func (o *object) Find(key ref.Val) (ref.Val, bool) {
	name, ok := key.(types.String)
	switch {
	case !ok:
		return nil, false
	case len(o.raw.Raw) > shortText:
		return o.all().Find(name)
	}
	// A short one is never counted here: whether it is decoded depends on the
	// conditions that were tried before.
	value, known := o.known(name)
	if !known {
		if len(o.found) >= fewLookups {
			return o.whole().Find(name)
		}
		value = o.lookUp(name)
	}
	return value, value != nil
}

// known returns what has been read of the object: the value under a key, nil
// when it has none.
func (o *object) known(key types.String) (value ref.Val, known bool) {
	if o.decoded != nil {
		value, _ = o.decoded.Find(key)
		return value, true
	}
	for _, m := range o.found {
		if m.key == key {
			return m.value, true
		}
	}
	return nil, false
}

func (o *object) lookUp(key types.String) ref.Val {
	o.checkDepth()
	var last gjson.Result
	o.raw.ForEach(func(k, v gjson.Result) bool {
		if k.Str == string(key) {
			last = v
		}
		return true
	})
	var value ref.Val
	if last.Exists() {
		value = o.valueOf(last)
	}
	o.found = append(o.found, member{key, value})
	return value
}

func (o *object) Get(key ref.Val) ref.Val {
	if v, ok := o.Find(key); ok {
		return v
	}
	return types.NewErr("no such key")
}

func (o *object) Contains(key ref.Val) ref.Val {
	_, ok := o.Find(key)
	return types.Bool(ok)
}

func (o *object) Iterator() traits.Iterator                   { return o.all().Iterator() }
func (o *object) Size() ref.Val                               { return o.all().Size() }
func (o *object) Type() ref.Type                              { return types.MapType }
func (o *object) Value() any                                  { return o.all().Value() }
func (o *object) ConvertToType(t ref.Type) ref.Val            { return o.all().ConvertToType(t) }
func (o *object) ConvertToNative(t reflect.Type) (any, error) { return o.all().ConvertToNative(t) }

func (o *object) Equal(other ref.Val) ref.Val {
	if same, ok := other.(*object); ok {
		other = same.all()
	}
	return o.all().Equal(other)
}
