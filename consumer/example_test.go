package consumer_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/topology"
)

// shout is a role of one's own: of each event it makes a record on another topic. The loop publishes what it returns,
// and commits only then.
type shout struct{ to topology.Topic }

func (s shout) Handle(_ context.Context, b consumer.Batch) (consumer.Result, error) {
	var result consumer.Result
	for _, r := range b.Records {
		loud := strings.ToUpper(string(r.Value))
		result.Out = append(result.Out, topology.Record{Topic: s.to, Key: r.Key, Value: []byte(loud)})
		result.Handled++
	}
	return result, nil
}

// A Handler is a function from consumed records to records to publish, which a test calls without a broker.
func ExampleHandler() {
	var h consumer.Handler = shout{to: "loud"}
	result, err := h.Handle(context.Background(), consumer.Batch{Topic: "quiet", Records: []topology.Record{
		{Value: []byte("one")}, {Value: []byte("two")},
	}})
	for _, out := range result.Out {
		fmt.Println(out.Topic, string(out.Value))
	}
	fmt.Println(result.Handled, err)
	// Output:
	// loud ONE
	// loud TWO
	// 2 <nil>
}
