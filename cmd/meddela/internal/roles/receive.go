package roles

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/meddela/meddela/cmd/meddela/internal/config"
	"github.com/meddela/meddela/cmd/meddela/internal/connect"
	"github.com/meddela/meddela/consumer/deliver/recipient/address"
	"github.com/meddela/meddela/consumer/deliver/recipient/suppress"
	"github.com/meddela/meddela/consumer/receipt"
	"github.com/meddela/meddela/consumer/receive"
	"github.com/meddela/meddela/consumer/status"
	"github.com/meddela/meddela/topology"
)

// refs seals references to messages; nil without a pepper.
func (in *Installation) refs() func(job *topology.Job, to string) string {
	hasher := in.Config.Hasher()
	if hasher == nil {
		return nil
	}
	key := receipt.NewKey(in.Config.Recipient.Pepper.Reveal())
	return func(job *topology.Job, to string) string { return key.Seal(job, in.hash(hasher, job.Channel, to)) }
}

// hash is that of an address on a channel; none of what is no address.
func (in *Installation) hash(hasher *suppress.Hasher, channel topology.Channel, to string) topology.AddressHash {
	if normal, ok := address.Normalize(channel, to, in.Config.Recipient.PhoneRegion); ok {
		return hasher.Hash(normal)
	}
	return ""
}

// Receive runs role receive, for both lanes, until ctx ends. ready is called when it
// listens.
func (in *Installation) Receive(ctx context.Context, ready func()) error {
	settings := &in.Config.Receive
	hasher := in.Config.Hasher()
	if hasher == nil {
		return config.Faults{"MEDDELA_SUPPRESS_PEPPER is not set: receipts are known by it, and addresses are " +
			"suppressed as its hashes. Set it to what role deliver has"}
	}
	log := in.Log.With().Str("role", string(topology.RoleReceive)).Logger()
	client, err := in.Redis()
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	publish := func(ctx context.Context, partition int, records []topology.Record) error {
		lane, _ := in.Names.LaneOf(records[0].Topic)
		// What is of both lanes goes with the faster one.
		refused, err := in.lanes[cmp.Or(lane, topology.Realtime)].publisher.Publish(ctx, partition, records)
		if err == nil && len(refused) > 0 {
			err = fmt.Errorf("%s does not take what is written", records[0].Topic)
		}
		return err
	}
	list := &suppress.List{Topic: in.Names.Suppressions()}
	list.Publish = func(ctx context.Context, records []topology.Record) error { return publish(ctx, 0, records) }
	var keep, stop func()
	list.Copy, keep, stop = connect.Suppressions(ctx, in.Config, in.Kafka, client, log)
	defer stop()
	keep()
	reader := status.Reader{Client: client, Keys: in.Keys}
	receiver, err := receive.New(receive.Config{
		Names: in.Names, Key: receipt.NewKey(in.Config.Recipient.Pepper.Reveal()), Sources: in.Providers.Sources(), Log: log,
		States: func(ctx context.Context, ids []topology.EventID) ([]topology.State, error) {
			answers, err := reader.GetMany(ctx, ids)
			states := make([]topology.State, len(answers))
			for i := range answers {
				states[i] = answers[i].State
			}
			return states, err
		},
		Publish: publish,
		Hash: func(channel topology.Channel, to string) topology.AddressHash {
			return in.hash(hasher, channel, to)
		},
		Suppress: list.AddHashes,
	})
	if err != nil {
		return err
	}
	in.Metrics.Of(topology.RoleReceive).Receipts(receiver)
	running, ctx := errgroup.WithContext(ctx)
	page := &http.Server{Handler: receiver, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second,
		IdleTimeout: time.Minute}
	mail := receiver.NewServer()
	for _, server := range []struct {
		setting, addr string
		serve         func(net.Listener) error
		shutdown      func(context.Context) error
	}{
		{"MEDDELA_RECEIVE_ADDR", settings.Addr, page.Serve, page.Shutdown},
		{"MEDDELA_RECEIVE_SMTP_ADDR", settings.SMTPAddr, mail.Serve, mail.Shutdown},
	} {
		if server.addr == "" || server.addr == "-" {
			continue
		}
		listener, err := net.Listen("tcp", server.addr)
		if err != nil {
			return config.Faults{fmt.Sprintf("%s is %q: it cannot be listened on: %v", server.setting, server.addr, err)}
		}
		log.Info().Str("addr", listener.Addr().String()).Str("setting", server.setting).Msg("receiving")
		running.Go(func() error {
			if err := server.serve(listener); ctx.Err() == nil {
				return fmt.Errorf("%s: %w", server.setting, err)
			}
			return nil
		})
		running.Go(func() error {
			<-ctx.Done()
			ending, cancel := context.WithTimeout(context.Background(), in.Config.Loop.Grace)
			defer cancel()
			if err := server.shutdown(ending); err != nil && !errors.Is(err, context.DeadlineExceeded) {
				log.Warn().Err(err).Str("setting", server.setting).Msg("it did not end well")
			}
			return nil
		})
	}
	ready()
	return running.Wait()
}
