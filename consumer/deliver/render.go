package deliver

import (
	"errors"

	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

// render is the fourth stage: it makes the message of a job.
func render(d *delivery) (template.Message, *topology.Fault) {
	if d.template == nil {
		return template.Message{}, &topology.Fault{
			Reason: topology.ReasonTemplateMissing,
			Detail: "this version of the template is not published, or has been retired",
		}
	}
	if d.eventErr != nil {
		return template.Message{}, renderFailed("the job's event: " + d.eventErr.Error())
	}
	m, err := d.template.Render(&d.event, d.job.Language)
	var known *template.Error
	switch {
	case errors.As(err, &known):
		return template.Message{}, &topology.Fault{Reason: known.Reason, Detail: known.Error()}
	case err != nil: // whose text may have something of the event
		return template.Message{}, renderFailed("the template failed on this event")
	case m.Channel != d.job.Channel:
		return template.Message{}, renderFailed(
			"the template is for channel " + string(m.Channel) + ", and the job for " + string(d.job.Channel))
	case d.job.Channel != topology.Webhook:
		m.To = d.job.To
	}
	return m, nil
}

func renderFailed(detail string) *topology.Fault {
	return &topology.Fault{Reason: topology.ReasonRenderFailed, Detail: detail}
}
