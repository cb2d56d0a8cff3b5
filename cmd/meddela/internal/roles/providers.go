package roles

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/meddela/meddela/cmd/meddela/internal/config"
	"github.com/meddela/meddela/cmd/meddela/internal/providerfile"
	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/deliver/provider/sandbox"
	"github.com/meddela/meddela/topology"
)

// providers are those of this role's channels: the sandbox where the settings say
// so, or else the channel's route. close ends what they keep open.
func (r *role) providers() (providers map[topology.Channel]provider.Provider, close func(), err error) {
	stopped := func(provider string) bool {
		return r.orders.Snapshot().About(topology.SubjectProvider, provider, time.Now()).Order != nil
	}
	site := providerfile.Site{Lane: r.lane, Redis: r.redis, Keys: r.Keys, Stopped: stopped, Ref: r.refs(), Log: r.log}
	providers, close, err = r.Build(site)
	if err != nil {
		return nil, nil, err
	}
	for _, channel := range r.Config.Deliver.SandboxedOf(r.Channels) {
		providers[channel] = r.Sandbox
	}
	return providers, close, nil
}

// newSandbox makes the sandbox of the settings. Its error is Faults.
func newSandbox(c *config.Config) (*sandbox.Provider, error) {
	settings, writer := &c.Sandbox, io.Writer(nil)
	if settings.File != "" {
		// Other processes may append too, which works for whole lines.
		file, err := os.OpenFile(settings.File, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, config.Faults{fmt.Sprintf("MEDDELA_SANDBOX_FILE cannot be written: %v", err)}
		}
		writer = file
	}
	made, err := sandbox.New(sandbox.Config{FailRate: settings.FailRate, Latency: settings.Latency, Dir: settings.Dir,
		Writer: writer})
	if err != nil {
		return nil, config.Faults{fmt.Sprintf("MEDDELA_SANDBOX_…: %v", err)}
	}
	return made, nil
}
