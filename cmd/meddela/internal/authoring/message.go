package authoring

import (
	"path"
	"slices"
	"strconv"

	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

// Part is one part of a message, by its name in a template's folder.
type Part struct{ Name, Text string }

// Parts returns the parts that a message has, in the order of template.Parts.
func Parts(m *template.Message) []Part {
	texts := Texts(m)
	var parts []Part
	for _, name := range template.Parts(m.Channel) {
		if text := texts[name]; text != "" {
			parts = append(parts, Part{name, text})
		}
	}
	return parts
}

// Texts are the texts of a message, by the names of the parts that it may have.
func Texts(m *template.Message) map[string]string {
	return map[string]string{
		template.EmailSubject: m.Subject, template.EmailText: m.Text, template.EmailHTML: m.HTML,
		template.EmailUnsubscribe: m.Unsubscribe.Lines(), template.EmailAttachments: template.AttachmentLines(m.Attachments),
		template.SMSText: m.Text, template.PushJSON: string(m.Body), template.WebhookJSON: string(m.Body),
	}
}

// Where is the file, with the line, in which rendering the named template failed; without
// a name as seen from the template's own folder.
func Where(name string, channel topology.Channel, e *template.Error) string {
	file := path.Join(name, e.Language, e.Part)
	if e.Part != "" && !slices.Contains(template.Parts(channel), e.Part) {
		file = path.Join(partialsFolder, e.Part)
	}
	if e.Line > 0 {
		file += ":" + strconv.Itoa(e.Line)
	}
	return file
}
