package condition

import (
	"reflect"
	"strconv"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"github.com/tidwall/gjson"
)

// object is a JSON object as a CEL map. Its members are looked up in the text;
// it is decoded only where a condition asks for all of it, or for so many that
// going through the text each time would cost more.
type object struct {
	raw     gjson.Result
	lookups int
	decoded traits.Mapper
}

// fewLookups is how many are made in the text.
const fewLookups = 8

// Find returns the value under a key. Of a key that comes twice the last counts.
func (o *object) Find(key ref.Val) (ref.Val, bool) {
	name, ok := key.(types.String)
	if !ok {
		return nil, false
	}
	if o.lookups++; o.decoded != nil || o.lookups > fewLookups {
		return o.whole().Find(key)
	}
	var found gjson.Result
	o.raw.ForEach(func(k, v gjson.Result) bool {
		if k.Str == string(name) {
			found, ok = v, true
		}
		return true
	})
	if !found.Exists() {
		return nil, false
	}
	return valueOf(found), true
}

// valueOf is a JSON value as CEL has it: numbers without fraction or exponent
// are whole.
func valueOf(v gjson.Result) ref.Val {
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
	if v.IsObject() {
		return &object{raw: v}
	}
	var list []ref.Val
	v.ForEach(func(_, element gjson.Result) bool {
		list = append(list, valueOf(element))
		return true
	})
	return types.NewRefValList(types.DefaultTypeAdapter, list)
}

// whole decodes one level of the object.
func (o *object) whole() traits.Mapper {
	if o.decoded == nil {
		members := make(map[ref.Val]ref.Val)
		o.raw.ForEach(func(k, v gjson.Result) bool {
			members[types.String(k.Str)] = valueOf(v)
			return true
		})
		o.decoded = types.NewRefValMap(types.DefaultTypeAdapter, members)
	}
	return o.decoded
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

func (o *object) Size() ref.Val             { return o.whole().Size() }
func (o *object) Iterator() traits.Iterator { return o.whole().Iterator() }
func (o *object) Type() ref.Type            { return types.MapType }
func (o *object) Value() any                { return o.whole().Value() }

func (o *object) Equal(other ref.Val) ref.Val {
	if same, ok := other.(*object); ok {
		other = same.whole()
	}
	return o.whole().Equal(other)
}

func (o *object) ConvertToNative(t reflect.Type) (any, error) { return o.whole().ConvertToNative(t) }
func (o *object) ConvertToType(t ref.Type) ref.Val            { return o.whole().ConvertToType(t) }
