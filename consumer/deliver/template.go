package deliver

import (
	"context"
	"time"

	"github.com/meddela/meddela/consumer/deliver/recipient/quiet"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

// Templates knows the versions of templates.
type Templates interface {
	// Template returns a version, and whether it is known.
	Template(ref topology.TemplateRef) (Template, bool)
	// CatchUp returns when everything that was published before the call is
	// known. Its error means that this cannot be found out now.
	CatchUp(ctx context.Context) error
}

// Template is one version of a template.
type Template interface {
	// Render makes the message for an event. Its error is a *template.Error.
	Render(event *topology.Event, language string) (template.Message, error)
	// Policy is what the version says of its delivery. It does not change.
	Policy() *Policy
}

// Policy is what a template says of its messages' delivery.
type Policy struct {
	// HoldAmbiguous says that a message that may have been sent is not sent
	// again, rather than perhaps twice.
	HoldAmbiguous bool
	// Urgent messages wait for no quiet hours, and count in no cap.
	Urgent bool
	// Retries are the waits before further attempts; nil for those of the
	// Config.
	Retries []time.Duration
	// Quiet are the hours of the recipient's day in which the message waits.
	Quiet quiet.Hours
}
