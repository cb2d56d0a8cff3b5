package condition

import (
	"reflect"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"github.com/tidwall/gjson"
)

// object is a JSON object as a CEL map. Members of a short one are looked up in
// the text; it is decoded, one level of it, only where a condition asks for all
// of it, or for so many that going through the text each time would cost more.
type object struct {
	position
	found   []member
	decoded traits.Mapper
	counted int
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

// member returns the value under a key, nil when there is none. Of a key that
// comes twice the last counts.
func (o *object) member(key types.String) (ref.Val, excess) {
	if o.decoded == nil {
		for _, m := range o.found {
			if m.key == key {
				return m.value, fits
			}
		}
		if len(o.raw.Raw) <= shortText && len(o.found) < fewLookups && o.depth <= maxDepth {
			return o.lookUp(key), fits
		}
	}
	all, beyond := o.whole()
	if beyond != fits {
		return nil, beyond
	}
	value, _ := all.Find(key)
	return value, fits
}

func (o *object) lookUp(key types.String) ref.Val {
	var last gjson.Result
	o.raw.ForEach(func(k, v gjson.Result) bool {
		if k.Str == string(key) {
			last = v
		}
		return true
	})
	m := member{key: key}
	if last.Exists() {
		m.value = valueOf(o.within(last))
	}
	o.found = append(o.found, m)
	return m.value
}

func (o *object) whole() (traits.Mapper, excess) {
	if o.decoded != nil {
		return o.decoded, fits
	}
	if o.depth > maxDepth {
		return nil, tooDeep
	}
	members := make(map[ref.Val]ref.Val)
	o.raw.ForEach(func(k, v gjson.Result) bool {
		members[types.String(k.Str)] = valueOf(o.within(v))
		return len(members) <= maxElements
	})
	if len(members) > maxElements {
		return nil, tooLong
	}
	for _, m := range o.found {
		if m.value != nil {
			members[m.key] = m.value // with what is decoded of it
		}
	}
	o.decoded = types.NewRefValMap(types.DefaultTypeAdapter, members)
	return o.decoded, fits
}

// all ends the evaluation where the object is too much for a condition.
func (o *object) all() traits.Mapper {
	all, beyond := o.whole()
	check(beyond)
	o.meter.count(&o.counted, all.Size())
	return all
}

func (o *object) Find(key ref.Val) (ref.Val, bool) {
	name, ok := key.(types.String)
	if !ok {
		return nil, false
	}
	value, beyond := o.member(name)
	check(beyond)
	if len(o.raw.Raw) > shortText {
		o.meter.count(&o.counted, o.decoded.Size())
	}
	return value, value != nil
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

func (o *object) Size() ref.Val             { return o.all().Size() }
func (o *object) Iterator() traits.Iterator { return o.all().Iterator() }
func (o *object) Type() ref.Type            { return types.MapType }
func (o *object) Value() any                { return o.all().Value() }

func (o *object) Equal(other ref.Val) ref.Val {
	if same, ok := other.(*object); ok {
		other = same.all()
	}
	return o.all().Equal(other)
}

func (o *object) ConvertToNative(t reflect.Type) (any, error) { return o.all().ConvertToNative(t) }
func (o *object) ConvertToType(t ref.Type) ref.Val            { return o.all().ConvertToType(t) }
