package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/segmentio/kafka-go"
	"github.com/spf13/cobra"

	"github.com/meddela/meddela/cmd/authoring"
	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/producer"
	"github.com/meddela/meddela/topology"
)

func newTemplatesCommand(a *app) *cobra.Command {
	cmd := parent(&cobra.Command{
		Use:     "templates",
		GroupID: groupOperate,
		Short:   "Publish message templates, and list those that are published",
	})
	cmd.AddCommand(newTemplatesPublishCommand(a), newTemplatesListCommand(a))
	cmd.AddCommand(newTemplatesRenderCommand(a), newTemplatesDiffLogCommand(a))
	return cmd
}

func newTemplatesPublishCommand(a *app) *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "publish FOLDER",
		Short: "Check a folder of templates, and publish what is new in it",
		Long: `Check a folder of templates, and publish what is new in it.

Every template is compiled, and rendered with the samples beside it, before any
is published; all faults are shown at once. What is live already is left as it
is, so publishing again is safe. Every running role has a new version within a
second.`,
		Example: "  meddela templates publish ./templates\n  meddela templates publish ./templates --dry-run",
		Args:    arguments(1, 1, "one folder"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.load(cmd); err != nil {
				return err
			}
			return a.publishTemplates(cmd.Context(), args[0], dryRun)
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only check, and say what would be published")
	return cmd
}

func (a *app) publishTemplates(ctx context.Context, folder string, dryRun bool) error {
	if info, err := os.Stat(folder); err != nil || !info.IsDir() {
		return fmt.Errorf("there is no folder %s", folder)
	}
	records, err := authoring.Load(os.DirFS(folder))
	if err != nil {
		return fmt.Errorf("nothing is published, because of %s:\n%w", folder, err)
	}
	if len(records) == 0 {
		return fmt.Errorf("there are no templates in %s: a template is a folder with a template.yaml in it", folder)
	}
	connection, err := a.kafka(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, applyTimeout)
	defer cancel()
	transport := connection.Transport()
	defer transport.CloseIdleConnections()
	live, err := readCatalogue(ctx, a, connection, transport)
	if err != nil {
		return err
	}
	var writer authoring.Writer = &producer.Publisher{Addr: connection.Addr(), Transport: transport, Log: a.log}
	if dryRun {
		writer = writeNothing{}
	}
	refs, err := authoring.Publish(ctx, writer, a.config.names().Templates(), live, records, time.Now())
	if err != nil {
		return err
	}
	return a.printPublished(refs, len(records), dryRun)
}

// writeNothing is the Writer of a dry run.
type writeNothing struct{}

func (writeNothing) Publish(context.Context, topology.Topic, int, []topology.Record) ([]int, error) {
	return nil, nil
}

func (a *app) printPublished(refs []topology.TemplateRef, checked int, dryRun bool) error {
	if a.output == outputJSON {
		return a.printJSON(map[string]any{"published": refs, "unchanged": checked - len(refs), "dry_run": dryRun})
	}
	done := "published"
	if dryRun {
		done = "would be published"
	}
	for _, ref := range refs {
		if err := a.printf("%s  %s\n", done, ref); err != nil {
			return err
		}
	}
	return a.printf("%d templates are fine: %d %s, %d live already\n", checked, len(refs), done, checked-len(refs))
}

// publishSamples publishes all templates of a folder that is known to be good.
func publishSamples(ctx context.Context, connection producer.Connection, topic topology.Topic, folder fs.FS) error {
	records, err := authoring.Load(folder)
	if err != nil {
		return err
	}
	transport := connection.Transport()
	defer transport.CloseIdleConnections()
	writer := &producer.Publisher{Addr: connection.Addr(), Transport: transport}
	_, err = authoring.Publish(ctx, writer, topic, new(catalogue.Catalogue), records, time.Now())
	return err
}

// catalogueTimeout is how long the templates may take to be read.
const catalogueTimeout = 15 * time.Second

// readCatalogue reads the templates topic to its end.
func readCatalogue(ctx context.Context, a *app, connection producer.Connection, transport *kafka.Transport) (*catalogue.Catalogue, error) {
	follower := catalogue.NewFollower(catalogue.Config{
		Source: catalogue.FromTopic(connection.Addr(), transport, a.config.names().Templates()),
		Log:    a.log.Level(zerolog.WarnLevel),
	})
	ctx, stop := context.WithTimeout(ctx, catalogueTimeout)
	defer stop()
	go follower.Run(ctx)
	if err := follower.AwaitReady(ctx); err != nil {
		return nil, err
	}
	return follower.Catalogue(), nil
}

func newTemplatesListCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the templates that are live",
		Example: "  meddela templates list\n  meddela templates list -o json",
		Args:    arguments(0, 0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.load(cmd); err != nil {
				return err
			}
			return a.listTemplates(cmd.Context())
		},
	}
}

// listedTemplate is a line of the list.
type listedTemplate struct {
	Name        string           `json:"name"`
	Version     string           `json:"version"`
	Channel     topology.Channel `json:"channel"`
	Types       []string         `json:"types"`
	Languages   []string         `json:"languages"`
	PublishedAt time.Time        `json:"published_at"`
}

func (a *app) listTemplates(ctx context.Context) error {
	connection, err := a.kafka(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, applyTimeout)
	defer cancel()
	transport := connection.Transport()
	defer transport.CloseIdleConnections()
	live, err := readCatalogue(ctx, a, connection, transport)
	if err != nil {
		return err
	}
	list := []listedTemplate{}
	for entry := range live.All() {
		record := entry.Record()
		if latest, _ := live.Latest(record.Name); latest != entry {
			continue
		}
		list = append(list, listedTemplate{
			Name: record.Name, Version: record.Version, Channel: record.Channel,
			Types: record.Types, Languages: entry.Languages().Names(), PublishedAt: record.PublishedAt,
		})
	}
	return a.printTemplates(list)
}

func (a *app) printTemplates(list []listedTemplate) error {
	if a.output == outputJSON {
		return a.printJSON(list)
	}
	if len(list) == 0 {
		return a.printf("no templates are published: see meddela templates publish --help\n")
	}
	t := newTable("name", "version", "channel", "types", "languages", "published")
	for _, l := range list {
		t.AppendRow([]any{
			l.Name, l.Version, l.Channel, strings.Join(l.Types, " "), strings.Join(l.Languages, " "),
			l.PublishedAt.Local().Format(time.DateTime),
		})
	}
	return a.printTable(t)
}
