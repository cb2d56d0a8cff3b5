package condition_test

import (
	"fmt"
	"log"

	"github.com/meddela/meddela/consumer/template/condition"
	"github.com/meddela/meddela/topology"
)

// A condition is checked when it is compiled, and then asked about events.
func ExampleCompile() {
	c, err := condition.Compile(`event.country == "SE" && ctx.total > 100`)
	if err != nil {
		log.Fatal(err)
	}
	for _, event := range []topology.Event{
		{Country: "SE", Ctx: []byte(`{"total": 129.90}`)},
		{Country: "FI", Ctx: []byte(`{"total": 129.90}`)},
	} {
		holds, err := c.Holds(condition.NewFacts(&event))
		fmt.Println(event.Country, holds, err)
	}
	// Output:
	// SE true <nil>
	// FI false <nil>
}
