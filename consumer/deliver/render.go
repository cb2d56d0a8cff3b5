package deliver

import (
	"errors"

	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

// render is the fourth stage: it makes the message of a job, or says why there
// is none.
func render(d *delivery) (template.Message, ending) {
	if d.template == nil {
		return template.Message{}, failure(topology.ReasonTemplateMissing,
			"this version of the template is not published, or has been retired")
	}
	if d.eventErr != nil {
		return template.Message{}, failure(topology.ReasonRenderFailed, "the job's event: "+d.eventErr.Error())
	}
	m, err := d.template.Render(&d.event, d.job.Language)
	var known *template.Error
	switch {
	case errors.As(err, &known):
		return template.Message{}, failure(known.Reason, known.Error())
	case err != nil: // whose text may have something of the event
		return template.Message{}, failure(topology.ReasonRenderFailed, "the template failed on this event")
	case m.Channel != d.job.Channel:
		return template.Message{}, failure(topology.ReasonRenderFailed,
			"the template is for channel "+string(m.Channel)+", and the job for "+string(d.job.Channel))
	case d.job.Channel != topology.Webhook:
		m.To = d.job.To
	}
	return m, ending{}
}
