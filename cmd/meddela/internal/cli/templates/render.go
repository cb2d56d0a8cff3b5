package templates

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/meddela/meddela/cmd/meddela/internal/authoring"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/preview"
	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

// rendering is what `templates render` was asked for.
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
	flags.StringSliceVar(&r.selection.Languages, "language", nil, "as an event would have it, such as sv-FI; may be repeated (default: all that a template has)")
	flags.StringVar(&r.selection.Sample, "sample", "", "only the sample of this name, or in this file")
	flags.StringVar(&r.event, "event", "", "a file with an event to render instead of the samples")
	flags.StringSliceVar(&r.parts, "part", nil, "print only this part, such as email.html, whole; may be repeated")
	flags.StringVar(&r.page, "page", "", "write a page to this file: it needs no network")
	flags.StringVar(&r.out, "out", "", "write each part to a file in this folder: <template>/<sample>.<language>.<part>")
	flags.StringVar(&r.serve, "serve", "", "serve the page on this address of this machine, such as 127.0.0.1:0, and keep up with the folder")
	command.Complete(cmd, "part", allParts()...)
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
	var targets []string
	for flag, value := range map[string]string{"--page": r.page, "--out": r.out, "--serve": r.serve} {
		if value != "" {
			targets = append(targets, flag)
		}
	}
	if output == command.JSON {
		targets = append(targets, "-o json")
	}
	if len(r.parts) > 0 {
		targets = append(targets, "--part")
	}
	if slices.Sort(targets); len(targets) > 1 {
		return command.Misusef("%s cannot be used together: use one", strings.Join(targets, " and "))
	}
	if r.event != "" && r.selection.Sample != "" {
		return command.Misusef("--event and --sample cannot be used together: use one")
	}
	for _, part := range r.parts {
		if !slices.Contains(allParts(), part) {
			return command.Misusef("%q is no part of a message: use %s", wording.Abridged(part), wording.OrList(allParts()))
		}
	}
	return nil
}

func render(ctx context.Context, env *command.Env, r *rendering) error {
	if info, err := os.Stat(r.folder); err != nil || !info.IsDir() {
		return fmt.Errorf("there is no folder %s", r.folder)
	}
	if err := r.readEvent(); err != nil {
		return err
	}
	if r.serve != "" {
		return servePreview(ctx, env, r)
	}
	folder, err := authoring.Check(os.DirFS(r.folder))
	if err != nil {
		return fmt.Errorf("%s cannot be read: %w", r.folder, err)
	}
	renderings, err := preview.Render(&folder, r.selection)
	if err != nil {
		return unknownWord(err)
	}
	if err := showRenderings(env, r, &folder, renderings); err != nil {
		return err
	}
	return renderingsFault(r.folder, &folder, renderings)
}

// unknownWord makes misuse of a name that the folder does not have.
func unknownWord(err error) error {
	var unknown *preview.UnknownError
	if !errors.As(err, &unknown) {
		return err
	}
	if near := wording.Nearest(unknown.Name, unknown.Known); near != "" {
		return command.Misusef("there is no %s %q: did you mean %s?", unknown.What, unknown.Name, near)
	}
	return command.Misusef("%v", unknown)
}

// readEvent reads the file of --event.
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
	return printRenderings(env, renderings)
}

func writePage(env *command.Env, r *rendering, folder *authoring.Report, renderings []preview.Rendering) error {
	page := preview.Page{Name: folderName(r.folder), Renderings: renderings, Faults: folder.Faults}
	file, err := os.Create(r.page)
	if err != nil {
		return fmt.Errorf("the page cannot be written: %w", err)
	}
	if err := errors.Join(page.Write(file), file.Close()); err != nil {
		return fmt.Errorf("the page cannot be written: %w", err)
	}
	return env.Printf("%s on %s\n", wording.Count(len(renderings), "message", "messages"), r.page)
}

// folderName is how a folder is called, also when it is given as a dot.
func folderName(folder string) string {
	if whole, err := filepath.Abs(folder); err == nil {
		folder = whole
	}
	return filepath.Base(folder)
}

func servePreview(ctx context.Context, env *command.Env, r *rendering) error {
	listener, err := preview.Listen(r.serve)
	var remote *preview.RemoteError
	if errors.As(err, &remote) {
		return command.Misusef("--serve %v", remote)
	}
	if err != nil {
		return fmt.Errorf("cannot serve the page: %w", err)
	}
	if err := env.Printf("http://%s/ shows %s, and keeps up with it. Ctrl-C ends it.\n", listener.Addr(), r.folder); err != nil {
		return errors.Join(err, listener.Close())
	}
	server := preview.Server{Folder: os.DirFS(r.folder), Name: folderName(r.folder), Selection: r.selection}
	return server.Serve(ctx, listener)
}

// renderingsFault is the command's error when not all was well. Each fault has
// a line of its own.
func renderingsFault(name string, folder *authoring.Report, renderings []preview.Rendering) error {
	failed := 0
	for i := range renderings {
		if renderings[i].Err != nil {
			failed++
		}
	}
	var faults []string
	if failed > 0 {
		faults = append(faults, fmt.Sprintf("%d of %s could not be rendered", failed, wording.Count(len(renderings), "message", "messages")))
	}
	if len(folder.Faults) > 0 {
		faults = append(faults, wording.Count(len(folder.Faults), "fault", "faults")+" in "+name+":\n"+folder.Faults.Error())
	}
	if len(faults) == 0 && len(renderings) == 0 {
		return fmt.Errorf("there is nothing to render in %s: a template is rendered with the events in its folder samples, or with --event", name)
	}
	if len(faults) == 0 {
		return nil
	}
	return errors.New(strings.Join(faults, "\n"))
}
