package templates

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/meddela/meddela/cmd/meddela/internal/authoring"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/faults"
	"github.com/meddela/meddela/cmd/meddela/internal/preview"
	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

// printRenderings prints messages for people: HTML only by its size.
func printRenderings(env *command.Env, renderings []preview.Rendering) error {
	for i := range renderings {
		if err := env.Printf("%s\n", renderingText(env, &renderings[i])); err != nil {
			return err
		}
	}
	return nil
}

func renderingText(env *command.Env, r *preview.Rendering) string {
	var b strings.Builder
	b.WriteString(renderingHeading(env, r))
	if r.Err != nil {
		fmt.Fprintf(&b, "%s %s: %s\n", env.Paint(text.FgRed, "✗"), r.Where(), r.Err.Detail)
		return b.String()
	}
	fmt.Fprintf(&b, "To: %s\n", wording.Printable(r.Message.To))
	for _, part := range r.Parts() {
		switch part.Name {
		case template.EmailSubject:
			fmt.Fprintf(&b, "Subject: %s\n", wording.Printable(part.Text))
		case template.EmailHTML:
			b.WriteString(env.Paint(text.Faint, fmt.Sprintf("\n%s has %d bytes: see it with --part %[1]s, or all on a page with --page", part.Name, len(part.Text))) + "\n")
		default:
			fmt.Fprintf(&b, "\n%s\n", wording.PrintableLines(strings.TrimSpace(part.Text)))
		}
	}
	return b.String()
}

func renderingHeading(env *command.Env, r *preview.Rendering) string {
	language := r.Language
	if r.Err == nil && r.Message.Language != language {
		language += " → " + r.Message.Language
	}
	return env.Paint(text.Bold, fmt.Sprintf("── %s  %s  %s ──", r.Template.Name, wording.Printable(r.SampleName()), wording.Printable(language))) + "\n"
}

// printParts prints parts whole. One part alone is printed without a heading,
// so that it can be piped.
func printParts(env *command.Env, names []string, renderings []preview.Rendering) error {
	alone := len(names) == 1 && len(renderings) == 1
	for i := range renderings {
		r := &renderings[i]
		if r.Err != nil {
			if err := env.Printf("%s\n", renderingText(env, r)); err != nil {
				return err
			}
			continue
		}
		for _, part := range r.Parts() {
			if !slices.Contains(names, part.Name) {
				continue
			}
			if err := printPart(env, r, part, alone); err != nil {
				return err
			}
		}
	}
	return nil
}

func printPart(env *command.Env, r *preview.Rendering, part authoring.Part, alone bool) error {
	body := part.Text
	if command.IsTerminal(env.Out) {
		body = wording.PrintableLines(body)
	}
	if alone {
		return env.Printf("%s\n", strings.TrimSuffix(body, "\n"))
	}
	return env.Printf("%s%s\n%s\n\n", renderingHeading(env, r), part.Name, strings.TrimSpace(body))
}

// renderingsView is all messages as --output json shows them.
type renderingsView struct {
	Messages []renderingView `json:"messages"`
	Faults   faults.List     `json:"faults"`
}

// renderingView is a message, or why there is none.
type renderingView struct {
	Template topology.TemplateRef `json:"template"`
	Channel  topology.Channel     `json:"channel"`
	Sample   string               `json:"sample"`
	Language string               `json:"language"`
	messageView
	Error *renderErrorView `json:"error,omitempty"`
}

// messageView is a message, with its content.
type messageView struct {
	BodyLanguage string            `json:"body_language,omitempty"`
	To           string            `json:"to,omitempty"`
	Parts        map[string]string `json:"parts,omitempty"`
}

func messageViewOf(m *template.Message) messageView {
	view := messageView{BodyLanguage: m.Language, To: m.To, Parts: map[string]string{}}
	for _, part := range authoring.Parts(m) {
		view.Parts[part.Name] = part.Text
	}
	return view
}

// renderErrorView is why a message cannot be rendered.
type renderErrorView struct {
	Reason topology.Reason `json:"reason"`
	File   string          `json:"file"` // with the line
	Path   string          `json:"path,omitempty"`
	Detail string          `json:"detail"`
}

func printRenderingsJSON(env *command.Env, folder *authoring.Report, renderings []preview.Rendering) error {
	all := renderingsView{Messages: make([]renderingView, len(renderings)), Faults: append(faults.List{}, folder.Faults...)}
	for i := range renderings {
		r := &renderings[i]
		view := renderingView{Template: r.Template.Ref(), Channel: r.Template.Channel, Sample: r.Sample.File, Language: r.Language}
		if r.Err != nil {
			view.Error = &renderErrorView{r.Err.Reason, r.Where(), r.Err.Path, r.Err.Detail}
		} else {
			view.messageView = messageViewOf(&r.Message)
		}
		all.Messages[i] = view
	}
	return env.PrintJSON(all)
}
