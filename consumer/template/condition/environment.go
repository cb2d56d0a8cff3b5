package condition

import (
	"fmt"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/ext"
)

// ctxName is the variable with the event's own data.
const ctxName = "ctx"

// Names of the event's fields.
const (
	fieldScheduled  = "event.scheduled"
	fieldExpiration = "event.expiration"
)

// maxNesting is how deep a condition may nest: what checking it costs grows with
// the square, or worse. A chain of || or && counts little.
const maxNesting = 100

// textFields are the event's fields that are texts; an absent one is empty.
func textFields() []string {
	return []string{
		"event.id", "event.type", "event.channel", "event.to", "event.language", "event.country",
		"event.origin", "event.externalId", "event.correlationId",
	}
}

// environment is what all conditions are compiled in. It is made when it is
// first needed: most processes need none.
var environment = sync.OnceValue(func() *cel.Env {
	env, err := newEnvironment()
	if err != nil {
		panic(fmt.Sprintf("condition: the environment, which is fixed, is wrong: %v", err))
	}
	return env
})

func newEnvironment() (*cel.Env, error) {
	options := []cel.EnvOption{
		cel.ParserRecursionLimit(maxNesting),
		cel.Variable(ctxName, cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable(fieldScheduled, cel.OptionalType(cel.TimestampType)),
		cel.Variable(fieldExpiration, cel.OptionalType(cel.TimestampType)),
		cel.OptionalTypes(),
		cel.CrossTypeNumericComparisons(true),
		ext.Strings(), ext.Lists(), ext.Sets(), ext.Math(),
	}
	for _, name := range textFields() {
		options = append(options, cel.Variable(name, cel.StringType))
	}
	env, err := cel.NewEnv(options...)
	if err != nil {
		return nil, err
	}
	weighed, err := guards(env)
	if err != nil {
		return nil, err
	}
	return env.Extend(weighed...)
}
