package template

import (
	"errors"
	"net/url"
	"strings"
)

var (
	errUnsubscribe = errors.New("each line must be an https URL or an address such as stop@example.com, one of each at most")
	errAttachment  = errors.New("each line must be an https URL, a blank, and the file's name without slashes")
)

// setUnsubscribe reads the lines of the part. Its errors have nothing of them.
func (m *Message) setUnsubscribe(text string) error {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case line == "":
		case isHTTPS(line) && m.Unsubscribe.URL == "":
			m.Unsubscribe.URL = line
		case !strings.Contains(line, ":") && strings.Count(line, "@") == 1 && !strings.Contains(line, " ") && m.Unsubscribe.Mailto == "":
			m.Unsubscribe.Mailto = line
		default:
			return errUnsubscribe
		}
	}
	return nil
}

// Lines are the ways as the part has them.
func (u Unsubscribe) Lines() string { return strings.TrimSpace(u.URL + "\n" + u.Mailto) }

// AttachmentLines are files as their part has them.
func AttachmentLines(files []Attachment) string {
	lines := make([]string, len(files))
	for i, f := range files {
		lines[i] = f.URL + " " + f.Name
	}
	return strings.Join(lines, "\n")
}

// setAttachments likewise.
func (m *Message) setAttachments(text string) error {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		link, name, _ := strings.Cut(line, " ")
		name = strings.TrimSpace(name)
		if !isHTTPS(link) || name == "" || len(name) > 200 || strings.ContainsAny(name, "/\\") || strings.HasPrefix(name, ".") {
			return errAttachment
		}
		m.Attachments = append(m.Attachments, Attachment{Name: name, URL: link})
	}
	return nil
}

func isHTTPS(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Scheme == "https" && u.Host != "" && u.User == nil
}
