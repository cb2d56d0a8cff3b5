package templates

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"github.com/meddela/meddela/cmd/meddela/internal/authoring"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/preview"
	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

type rendering struct {
	folder    string
	selection preview.Selection
	event     string // a file
	parts     []string
	page      string // a file
	out       string // a folder
	serve     string // an address
}

func newTemplatesRenderCommand(env *command.Env) *cobra.Command {
	var r rendering
	cmd := &cobra.Command{
		Use:   "render FOLDER [TEMPLATE...]",
		Short: "Show the messages that templates make of their samples",
		Long: `Show the messages that templates make of their samples, in every language: on the
terminal, as files, or on a page with text, HTML and headers side by side.

A message that cannot be rendered is shown as its error, with file and line. The
exit status is 1 when there is one, or when the folder has faults.

Neither Kafka nor Redis is needed.`,
		Example: `  meddela templates render ./templates
  meddela templates render ./templates order_confirmation --language sv
  meddela templates render ./templates order_confirmation --sample webshop --language sv --part email.html > mail.html
  meddela templates render ./templates --event event.json
  meddela templates render ./templates --page messages.html
  meddela templates render ./templates --serve 127.0.0.1:8080
  meddela templates render ./templates --out rendered && git diff rendered`,
		Args: command.Arguments(1, -1, "a folder, and names of templates"),
		RunE: func(cmd *cobra.Command, args []string) error {
			r.folder, r.selection.Templates = args[0], args[1:]
			if err := r.check(env.Output); err != nil {
				return err
			}
			return render(cmd.Context(), env, &r)
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&r.selection.Languages, "language", nil,
		"as an event would have it, such as sv-FI; may be repeated (default: all that a template has)")
	flags.StringVar(&r.selection.Sample, "sample", "", "only the sample of this name, or in this file")
	flags.StringVar(&r.event, "event", "", "a file with an event to render instead of the samples")
	command.WordsFlag(cmd, &r.parts, "part", allParts(), "print only this part, such as email.html, whole; may be repeated")
	flags.StringVar(&r.page, "page", "", "write a page to this file: it needs no network")
	flags.StringVar(&r.out, "out", "", "write each part to a file in this folder: <template>/<sample>.<language>.<part>")
	flags.StringVar(&r.serve, "serve", "",
		"serve the page on this address of this machine, such as 127.0.0.1:0, and keep up with the folder")
	return cmd
}

func allParts() []string {
	var parts []string
	for _, c := range topology.Channels() {
		parts = append(parts, template.Parts(c)...)
	}
	return parts
}

// check finds what cannot be asked for; its error is misuse.
func (r *rendering) check(output command.Format) error {
	targets := map[string]bool{
		"--page": r.page != "", "--out": r.out != "", "--serve": r.serve != "", "--part": len(r.parts) > 0,
		"-o json": output == command.JSON,
	}
	maps.DeleteFunc(targets, func(_ string, given bool) bool { return !given })
	if len(targets) > 1 {
		return command.Misusef("%s cannot be used together: use one",
			strings.Join(slices.Sorted(maps.Keys(targets)), " and "))
	}
	if r.event != "" && r.selection.Sample != "" {
		return command.Misusef("--event and --sample cannot be used together: use one")
	}
	return nil
}

func render(ctx context.Context, env *command.Env, r *rendering) error {
	files, err := openFolder(r.folder)
	if err != nil {
		return err
	}
	if err := r.readEvent(); err != nil {
		return err
	}
	if r.serve != "" {
		return servePreview(ctx, env, r, files)
	}
	folder, err := authoring.Check(files)
	if err != nil {
		return fmt.Errorf("%s cannot be read: %w", r.folder, err)
	}
	renderings, err := preview.Render(&folder, r.selection)
	if err != nil {
		return command.Misusef("%v", err)
	}
	if err := showRenderings(env, r, &folder, renderings); err != nil {
		return err
	}
	return renderingsFault(r.folder, &folder, renderings)
}

func (r *rendering) readEvent() error {
	if r.event == "" {
		return nil
	}
	text, err := os.ReadFile(r.event)
	if err != nil {
		return fmt.Errorf("the event cannot be read: %w", err)
	}
	event, err := topology.DecodeEvent(topology.Record{Value: text}, topology.Realtime)
	if err != nil {
		return fmt.Errorf("%s is not an event: %w", r.event, err)
	}
	r.selection.Event = &authoring.Sample{File: filepath.Base(r.event), Event: event}
	return nil
}

func showRenderings(env *command.Env, r *rendering, folder *authoring.Report, renderings []preview.Rendering) error {
	switch {
	case r.page != "":
		return writePage(env, r, folder, renderings)
	case r.out != "":
		n, err := preview.WriteFiles(r.out, renderings)
		if err != nil {
			return fmt.Errorf("the messages cannot be written: %w", err)
		}
		return env.Printf("%s written to %s\n", wording.Count(n, "file", "files"), r.out)
	case env.Output == command.JSON:
		return printRenderingsJSON(env, folder, renderings)
	case len(r.parts) > 0:
		return printParts(env, r.parts, renderings)
	}
	var b strings.Builder
	for i := range renderings {
		b.WriteString(renderingText(env, &renderings[i]) + "\n")
	}
	return env.Printf("%s", b.String())
}

func writePage(env *command.Env, r *rendering, folder *authoring.Report, renderings []preview.Rendering) error {
	page := preview.Page{Name: folderName(r.folder), Renderings: renderings, Faults: folder.Faults}
	file, err := os.Create(r.page)
	if err == nil {
		err = errors.Join(page.Write(file), file.Close())
	}
	if err != nil {
		return fmt.Errorf("the page cannot be written: %w", err)
	}
	return env.Printf("%s on %s\n", wording.Count(len(renderings), "message", "messages"), r.page)
}

// folderName is how a folder is called, also when it is given as a dot.
func folderName(folder string) string {
	whole, _ := filepath.Abs(folder) // or none, if this process's own is gone
	return filepath.Base(whole)
}

func servePreview(ctx context.Context, env *command.Env, r *rendering, files fs.FS) error {
	listener, err := preview.Listen(r.serve)
	if errors.Is(err, preview.ErrRemote) {
		return command.Misusef("--serve %v", err)
	}
	if err != nil {
		return fmt.Errorf("cannot serve the page: %w", err)
	}
	err = env.Printf("http://%s/ shows %s, and keeps up with it. Ctrl-C ends it.\n", listener.Addr(), r.folder)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	server := preview.Server{Folder: files, Name: folderName(r.folder), Selection: r.selection}
	return server.Serve(ctx, listener)
}

// renderingsFault is the command's error when not all was well.
func renderingsFault(name string, folder *authoring.Report, renderings []preview.Rendering) error {
	page := preview.Page{Renderings: renderings}
	var wrong []string
	if failed := page.Failed(); failed > 0 {
		wrong = append(wrong, fmt.Sprintf("%d of %s could not be rendered", failed,
			wording.Count(len(renderings), "message", "messages")))
	}
	if len(folder.Faults) > 0 {
		wrong = append(wrong, wording.Count(len(folder.Faults), "fault", "faults")+" in "+name+":\n"+folder.Faults.Error())
	}
	switch {
	case len(wrong) > 0:
		return errors.New(strings.Join(wrong, "\n"))
	case len(renderings) == 0:
		return fmt.Errorf("there is nothing to render in %s: "+
			"a template is rendered with the events in its folder samples, or with --event", name)
	}
	return nil
}

// renderingText is a message for people: HTML only by its size.
func renderingText(env *command.Env, r *preview.Rendering) string {
	var b strings.Builder
	b.WriteString(renderingHeading(env, r))
	if r.Err != nil {
		fmt.Fprintf(&b, "%s %s: %s\n", env.Paint(text.FgRed, "✗"), r.Where(), r.Err.Detail)
		return b.String()
	}
	fmt.Fprintf(&b, "To: %s\n", wording.Printable(r.Message.To))
	for _, part := range authoring.Parts(&r.Message) {
		switch part.Name {
		case template.EmailSubject:
			fmt.Fprintf(&b, "Subject: %s\n", wording.Printable(part.Text))
		case template.EmailHTML:
			hint := fmt.Sprintf("\n%s has %d bytes: see it with --part %[1]s, or all on a page with --page", part.Name,
				len(part.Text))
			b.WriteString(env.Paint(text.Faint, hint) + "\n")
		default:
			fmt.Fprintf(&b, "\n%s\n", wording.PrintableLines(strings.TrimSpace(part.Text)))
		}
	}
	if length := r.SMS(); length != nil {
		b.WriteString(env.Paint(text.Faint, "\n"+length.String()) + "\n")
	}
	return b.String()
}

func renderingHeading(env *command.Env, r *preview.Rendering) string {
	language := r.Language
	if r.Err == nil && r.Message.Language != language {
		language += " → " + r.Message.Language
	}
	return env.Paint(text.Bold, fmt.Sprintf("── %s  %s  %s ──", r.Template.Name, wording.Printable(r.SampleName()),
		wording.Printable(language))) + "\n"
}

// printParts prints parts whole, and one part alone without a heading, for a pipe.
func printParts(env *command.Env, names []string, renderings []preview.Rendering) error {
	alone := len(names) == 1 && len(renderings) == 1
	var b strings.Builder
	for i := range renderings {
		r := &renderings[i]
		if r.Err != nil {
			b.WriteString(renderingText(env, r) + "\n")
			continue
		}
		for _, part := range authoring.Parts(&r.Message) {
			body := part.Text
			if command.IsTerminal(env.Out) {
				body = wording.PrintableLines(body)
			}
			switch {
			case !slices.Contains(names, part.Name):
			case alone:
				b.WriteString(strings.TrimSuffix(body, "\n") + "\n")
			default:
				fmt.Fprintf(&b, "%s%s\n%s\n\n", renderingHeading(env, r), part.Name, strings.TrimSpace(body))
			}
		}
	}
	return env.Printf("%s", b.String())
}

// renderingView is a message with its content, or why there is none.
type renderingView struct {
	Template     topology.TemplateRef `json:"template"`
	Channel      topology.Channel     `json:"channel"`
	Sample       string               `json:"sample"`
	Language     string               `json:"language"`
	BodyLanguage string               `json:"body_language,omitempty"`
	To           string               `json:"to,omitempty"`
	Parts        map[string]string    `json:"parts,omitempty"`
	SMS          *template.SMSLength  `json:"sms,omitempty"`
	Error        *renderErrorView     `json:"error,omitempty"`
}

type renderErrorView struct {
	*template.Error
	File string `json:"file"` // with the line
}

func printRenderingsJSON(env *command.Env, folder *authoring.Report, renderings []preview.Rendering) error {
	messages := make([]renderingView, len(renderings))
	for i := range renderings {
		r := &renderings[i]
		messages[i] = renderingView{r.Template.Ref(), r.Template.Channel, r.Sample.File, r.Language,
			r.Message.Language, r.Message.To, map[string]string{}, r.SMS(), nil}
		for _, part := range authoring.Parts(&r.Message) {
			messages[i].Parts[part.Name] = part.Text
		}
		if r.Err != nil {
			messages[i].Error = &renderErrorView{r.Err, r.Where()}
		}
	}
	return env.PrintJSON(map[string]any{"messages": messages, "faults": folder.Faults})
}
