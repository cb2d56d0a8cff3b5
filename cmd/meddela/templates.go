package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/rs/zerolog"
	"github.com/segmentio/kafka-go"
	"github.com/spf13/cobra"

	"github.com/meddela/meddela/cmd/meddela/internal/authoring"
	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/producer"
	"github.com/meddela/meddela/topology"
)

func newTemplatesCommand(a *app) *cobra.Command {
	cmd := parent(&cobra.Command{
		Use:     "templates",
		GroupID: groupOperate,
		Short:   "Check, render, publish, list, retire and roll back message templates",
	})
	cmd.AddCommand(newTemplatesLintCommand(a), newTemplatesPublishCommand(a), newTemplatesListCommand(a))
	cmd.AddCommand(newTemplatesRetireCommand(a), newTemplatesRollbackCommand(a), newTemplatesPruneCommand(a))
	cmd.AddCommand(newTemplatesRenderCommand(a), newTemplatesExplainCommand(a), newTemplatesDiffLogCommand(a))
	return cmd
}

// checkFolder reads a folder of templates. Faults in it are in the report.
func checkFolder(folder string) (authoring.Report, error) {
	if info, err := os.Stat(folder); err != nil || !info.IsDir() {
		return authoring.Report{}, fmt.Errorf("there is no folder %s", folder)
	}
	report, err := authoring.Check(os.DirFS(folder))
	if err == nil && report.Folders == 0 && len(report.Faults) == 0 {
		err = fmt.Errorf("there are no templates in %s: a template is a folder with a template.yaml in it", folder)
	}
	return report, err
}

// writeNothing is the Writer of a dry run.
type writeNothing struct{}

func (writeNothing) Publish(context.Context, topology.Topic, int, []topology.Record) ([]int, error) {
	return nil, nil
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
	follower, stop, err := followCatalogue(ctx, a, connection, transport)
	if err != nil {
		return nil, err
	}
	defer stop()
	return follower.Catalogue(), nil
}

// followCatalogue reads the templates topic to its end, and follows it until
// stop is called.
func followCatalogue(ctx context.Context, a *app, connection producer.Connection, transport *kafka.Transport) (follower *catalogue.Follower, stop func(), err error) {
	follower = catalogue.NewFollower(catalogue.Config{
		Source: catalogue.FromTopic(connection.Addr(), transport, a.config.names().Templates()),
		Log:    a.log.Level(zerolog.WarnLevel),
	})
	following, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		follower.Run(following)
	}()
	stop = func() { cancel(); <-ended }
	ready, cancelWait := context.WithTimeout(ctx, catalogueTimeout)
	defer cancelWait()
	if err := follower.AwaitReady(ready); err != nil {
		stop()
		return nil, nil, err
	}
	return follower, stop, nil
}
