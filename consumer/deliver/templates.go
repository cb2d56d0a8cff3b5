package deliver

import (
	"context"

	"github.com/meddela/meddela/consumer/message"
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
	// Render makes the message for an event. Its error is a *message.Error.
	Render(event *topology.Event, language string) (message.Message, error)
	// HoldsAmbiguous tells what becomes of a message that may have been sent:
	// it is not sent again, rather than perhaps twice.
	HoldsAmbiguous() bool
}
