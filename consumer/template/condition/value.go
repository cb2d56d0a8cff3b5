package condition

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

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

// object is a JSON object as a CEL map. The library is given all of it only where a
// condition asks for that.
type object struct {
	node
	members []member // by key, of which one that comes twice has its last value; nil until it is looked into
	decoded traits.Mapper
}

type member struct {
	key   string
	value ref.Val
}

func (o *object) read() []member {
	if o.members == nil {
		o.members = make([]member, 0, 4)
		o.each(func(key string, v ref.Val) { o.members = append(o.members, member{key, v}) })
		slices.Reverse(o.members)
		slices.SortStableFunc(o.members, func(a, b member) int { return strings.Compare(a.key, b.key) })
		o.members = slices.CompactFunc(o.members, func(a, b member) bool { return a.key == b.key })
	}
	return o.members
}

func (o *object) all() traits.Mapper {
	if o.decoded == nil {
		members := make(map[ref.Val]ref.Val)
		for _, m := range o.read() {
			members[types.String(m.key)] = m.value
		}
		o.decoded = types.NewRefValMap(types.DefaultTypeAdapter, members)
	}
	o.meter.count(&o.counted, o.decoded.Size())
	return o.decoded
}

// shortText is how many bytes have too few members for looking one up to count.
const shortText = 4 << 10

// Find returns the value under a key.
func (o *object) Find(key ref.Val) (ref.Val, bool) {
	name, ok := key.(types.String)
	if !ok {
		return nil, false
	}
	if all := o.read(); len(o.raw.Raw) > shortText {
		o.meter.count(&o.counted, types.Int(len(all)))
	}
	return o.known(name)
}

// known is Find in what has been read of the object.
func (o *object) known(key types.String) (ref.Val, bool) {
	i, found := slices.BinarySearchFunc(o.members, string(key), func(m member, key string) int {
		return strings.Compare(m.key, key)
	})
	if !found {
		return nil, false
	}
	return o.members[i].value, true
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
