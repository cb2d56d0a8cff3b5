package provider_test

import (
	"context"
	"fmt"

	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

// pigeons is a provider of one's own: it says what became of a message, and never tries again by itself.
type pigeons struct{ free int }

func (p *pigeons) Name() string     { return "pigeons" }
func (p *pigeons) Concurrency() int { return 1 }

func (p *pigeons) Send(_ context.Context, job *topology.Job, m *template.Message) provider.Response {
	switch {
	case len(m.Text) > 20:
		return provider.Response{Verdict: provider.Rejected, Detail: "too heavy"}
	case p.free == 0:
		return provider.Response{Verdict: provider.Down, Detail: "all are out"}
	}
	p.free--
	return provider.Response{Verdict: provider.Accepted, MessageID: "ring-" + string(job.JobID)}
}

// A provider answers with a verdict; what to do about it is decided by the role.
func Example() {
	var own provider.Provider = &pigeons{free: 1}
	for i, text := range []string{"a text that no pigeon can carry", "hello", "hello again"} {
		job := topology.Job{JobID: topology.JobID(fmt.Sprint(i))}
		response := own.Send(context.Background(), &job, &template.Message{Channel: topology.SMS, Text: text})
		fmt.Println(response.Verdict, response.MessageID+response.Detail)
	}
	// Output:
	// rejected too heavy
	// accepted ring-1
	// down all are out
}
