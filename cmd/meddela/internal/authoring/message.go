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
	var parts []Part
	for _, name := range template.Parts(m.Channel) {
		if text := partText(m, name); text != "" {
			parts = append(parts, Part{name, text})
		}
	}
	return parts
}

func partText(m *template.Message, part string) string {
	switch part {
	case template.EmailSubject:
		return m.Subject
	case template.EmailText, template.SMSText:
		return m.Text
	case template.EmailHTML:
		return m.HTML
	case template.EmailUnsubscribe:
		return m.Unsubscribe.Lines()
	case template.EmailAttachments:
		return template.AttachmentLines(m.Attachments)
	}
	return string(m.Body)
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
