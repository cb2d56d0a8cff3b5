package condition

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/ext"
	"github.com/tidwall/gjson"

	"github.com/meddela/meddela/topology"
)

const (
	ctxName         = "ctx"   // the variable with the event's own data
	eventName       = "event" // what the names of the event's fields start with
	fieldScheduled  = "event.scheduled"
	fieldExpiration = "event.expiration"
)

const (
	// maxNesting is how deep a condition may nest: what checking it costs grows
	// with the square, or worse. A chain of || or && counts little.
	maxNesting = 100
	// maxPattern is the greatest size of a pattern, in steps of its program:
	// each letter of a text may take all of them.
	maxPattern = 1000
)

// environment is what all conditions are compiled in. It is made when it is
// first needed: most processes need none.
var environment = sync.OnceValue(func() *cel.Env {
	options := []cel.EnvOption{
		cel.ParserRecursionLimit(maxNesting),
		cel.ASTValidators(cel.ValidateRegexLiterals()),
		cel.RegexProgramSizeLimit(maxPattern),
		cel.Variable(ctxName, cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable(fieldScheduled, cel.OptionalType(cel.TimestampType)),
		cel.Variable(fieldExpiration, cel.OptionalType(cel.TimestampType)),
		cel.OptionalTypes(),
		cel.CrossTypeNumericComparisons(true),
		ext.Strings(), ext.Math(),
	}
	for name := range Texts {
		options = append(options, cel.Variable(eventName+"."+name, cel.StringType))
	}
	// CEL counts what a call has cost once it is done, so what makes much of
	// little, or searches in quadratic time, cannot be offered.
	for _, name := range []string{
		"replace", "split", "join", "format", "reverse", "strings.quote", "indexOf", "lastIndexOf",
	} {
		none := cel.Overload(name+"_none", nil, cel.BoolType) // a declaration has to have one
		options = append(options, cel.Function(name, cel.DisableDeclaration(true), none))
	}
	env, err := cel.NewEnv(options...)
	if err != nil {
		panic(fmt.Sprintf("condition: the environment, which is fixed, is wrong: %v", err))
	}
	return env
})

// Texts are the event's fields that are texts, by name; an absent one is empty.
var Texts = map[string]func(*topology.Event) string{
	"id":            func(e *topology.Event) string { return string(e.ID) },
	"type":          func(e *topology.Event) string { return e.Type },
	"channel":       func(e *topology.Event) string { return string(e.Channel) },
	"to":            func(e *topology.Event) string { return e.To },
	"language":      func(e *topology.Event) string { return e.Language },
	"country":       func(e *topology.Event) string { return e.Country },
	"origin":        func(e *topology.Event) string { return e.Origin },
	"externalId":    func(e *topology.Event) string { return e.ExternalID },
	"correlationId": func(e *topology.Event) string { return e.CorrelationID },
}

// Facts are what conditions read of one event. They are made once for an event
// and shared by all conditions that are tried on it; of its ctx only what a
// condition reads is decoded. They must not be used by several goroutines at
// once.
type Facts struct {
	event *topology.Event
	ctx   *object // nil until it is read
	meter meter
}

// NewFacts makes the facts of an event, which must stay as it is.
func NewFacts(event *topology.Event) *Facts { return &Facts{event: event} }

// ResolveName returns a variable by its name.
func (f *Facts) ResolveName(name string) (any, bool) {
	switch name {
	case ctxName:
		return f.root(), true
	case fieldScheduled:
		return maybeTime(f.event.Scheduled), true
	case fieldExpiration:
		return maybeTime(f.event.Expiration), true
	}
	if text, ok := Texts[strings.TrimPrefix(name, eventName+".")]; ok {
		return types.String(text(f.event)), true
	}
	return nil, false
}

// Parent is nil: there are no other variables.
func (f *Facts) Parent() cel.Activation { return nil }

func (f *Facts) root() *object {
	if f.ctx == nil {
		f.ctx = &object{node: node{raw: gjson.ParseBytes(f.event.Ctx), depth: 1, meter: &f.meter}}
	}
	return f.ctx
}

func maybeTime(t time.Time) any {
	if t.IsZero() {
		return types.OptionalNone
	}
	return types.OptionalOf(types.Timestamp{Time: t})
}
