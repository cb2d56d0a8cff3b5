package suppress

import (
	"context"

	"github.com/meddela/meddela/topology"
)

// Query asks whether a job's message may go to its recipient.
type Query struct {
	Channel topology.Channel
	Address string
	Job     topology.JobID
	Urgent  bool // as its template says: it is not capped
}

// Answer is why a message must not go. The zero value is that it may.
type Answer struct {
	Reason topology.Reason // ReasonSuppressed or ReasonCapped
	Detail string          // for people; the cause of a suppression is a Cause
}

// Gate asks the list, and then the caps about what is left. Several goroutines
// may use it.
type Gate struct {
	List *List
	Caps *Caps // nil for none
}

// Check answers each query. It asks Redis once about all of them together, and
// where there are caps, once more; with nothing to ask about, not at all. An
// address that is none of its channel may pass: that it is none is another's to
// say. With an error there are no answers, and nothing must be sent.
func (g *Gate) Check(ctx context.Context, queries []Query) ([]Answer, error) {
	answers, err := g.List.Check(ctx, queries)
	if err != nil || g.Caps == nil || len(g.Caps.Of) == 0 {
		return answers, err
	}
	left := make([]Query, 0, len(queries))
	which := make([]int, 0, len(queries))
	for i := range answers {
		if answers[i].Reason == topology.NoReason {
			left, which = append(left, queries[i]), append(which, i)
		}
	}
	capped, err := g.Caps.Admit(ctx, left)
	if err != nil {
		return nil, err
	}
	for i, at := range which {
		answers[at] = capped[i]
	}
	return answers, nil
}

// Check says of each query whether its address is suppressed.
func (l *List) Check(ctx context.Context, queries []Query) ([]Answer, error) {
	subjects := make([]Subject, len(queries))
	for i := range queries {
		subjects[i] = Subject{queries[i].Channel, queries[i].Address}
	}
	found, err := l.Find(ctx, subjects)
	if err != nil {
		return nil, err
	}
	answers := make([]Answer, len(queries))
	for i, e := range found {
		if e != nil {
			answers[i] = Answer{topology.ReasonSuppressed, string(e.Cause)}
		}
	}
	return answers, nil
}
