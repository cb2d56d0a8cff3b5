package roles

import (
	"fmt"
	"io"
	"maps"
	"os"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/meddela/meddela/cmd/meddela/internal/config"
	"github.com/meddela/meddela/cmd/meddela/internal/providerfile"
	"github.com/meddela/meddela/consumer/control"
	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/deliver/provider/failover"
	"github.com/meddela/meddela/consumer/deliver/provider/sandbox"
	"github.com/meddela/meddela/topology"
)

// ways are the providers of this role's channels: those of the providers' file,
// or else those of the environment. close ends what they keep open.
func (r *role) ways(client redis.UniversalClient, orders func() *control.Orders) (ways map[topology.Channel]provider.Provider, close func(), err error) {
	ways, close = maps.Clone(r.Providers), func() {}
	stopped := func(provider string) bool {
		return orders().About(topology.SubjectProvider, provider, time.Now()).Order != nil
	}
	for channel, provider := range ways {
		// The sandbox plays dead for single recipients, which is no sign of its health.
		if _, ok := provider.(*sandbox.Provider); ok {
			continue
		}
		if ways[channel], err = failover.New(failover.Config{
			Name: string(channel), Backends: []failover.Backend{{Provider: provider}}, Stopped: stopped,
		}); err != nil {
			return nil, nil, err
		}
	}
	if r.File == nil {
		return ways, close, nil
	}
	routes, close, err := r.File.Build(providerfile.Site{Lane: r.lane, Redis: client, Keys: r.Keys, Stopped: stopped})
	if err != nil {
		return nil, nil, err
	}
	for channel, way := range routes {
		ways[channel] = way
	}
	return ways, close, nil
}

// Providers are the ways out that the environment names, by channel.
func Providers(c *config.Config) (map[topology.Channel]provider.Provider, error) {
	sandbox, err := newSandbox(c)
	if err != nil {
		return nil, err
	}
	chosen := map[topology.Channel]string{
		topology.Email:   c.Deliver.Email,
		topology.SMS:     c.Deliver.SMS,
		topology.Push:    c.Deliver.Push,
		topology.Webhook: c.Deliver.Webhook,
	}
	providers := make(map[topology.Channel]provider.Provider, len(chosen))
	for channel, name := range chosen {
		if name == "smtp" {
			if providers[channel], err = newSMTP(&c.SMTP); err != nil {
				return nil, err
			}
			continue
		}
		providers[channel] = sandbox
	}
	return providers, nil
}

func newSandbox(c *config.Config) (*sandbox.Provider, error) {
	var writer io.Writer
	if path := c.Sandbox.File; path != "" {
		// Other processes may append too, which works for whole lines.
		file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, config.Faults{fmt.Sprintf("MEDDELA_SANDBOX_FILE cannot be written: %v", err)}
		}
		writer = file
	}
	sandbox, err := sandbox.New(sandbox.Config{
		FailRate: c.Sandbox.FailRate,
		Latency:  c.Sandbox.Latency,
		Dir:      c.Sandbox.Dir,
		Writer:   writer,
	})
	if err != nil {
		return nil, config.Faults{fmt.Sprintf("MEDDELA_SANDBOX_…: %v", err)}
	}
	return sandbox, nil
}
