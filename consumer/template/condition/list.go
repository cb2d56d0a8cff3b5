package condition

import (
	"reflect"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"github.com/tidwall/gjson"
)

// list is a JSON array as a CEL list. It is decoded, one level of it, when a
// condition first looks into it.
type list struct {
	position
	decoded traits.Lister
	counted int
}

func (l *list) whole() (traits.Lister, excess) {
	if l.decoded != nil {
		return l.decoded, fits
	}
	if l.depth > maxDepth {
		return nil, tooDeep
	}
	var elements []ref.Val
	l.raw.ForEach(func(_, v gjson.Result) bool {
		elements = append(elements, valueOf(l.within(v)))
		return len(elements) <= maxElements
	})
	if len(elements) > maxElements {
		return nil, tooLong
	}
	l.decoded = types.NewRefValList(types.DefaultTypeAdapter, elements)
	return l.decoded, fits
}

// all ends the evaluation where the list is too much for a condition.
func (l *list) all() traits.Lister {
	all, beyond := l.whole()
	check(beyond)
	l.meter.count(&l.counted, all.Size())
	return all
}

func (l *list) Add(other ref.Val) ref.Val        { return l.all().Add(other) }
func (l *list) Contains(element ref.Val) ref.Val { return l.all().Contains(element) }
func (l *list) Get(index ref.Val) ref.Val        { return l.all().Get(index) }
func (l *list) Iterator() traits.Iterator        { return l.all().Iterator() }
func (l *list) Size() ref.Val                    { return l.all().Size() }
func (l *list) Type() ref.Type                   { return types.ListType }
func (l *list) Value() any                       { return l.all().Value() }
func (l *list) Equal(other ref.Val) ref.Val      { return l.all().Equal(other) }
func (l *list) ConvertToType(t ref.Type) ref.Val { return l.all().ConvertToType(t) }
func (l *list) ConvertToNative(t reflect.Type) (any, error) {
	return l.all().ConvertToNative(t)
}
