package config

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/meddela/meddela/cmd/meddela/internal/providerfile"
	"github.com/meddela/meddela/topology"
)

// Providers are those of the providers' file and of MEDDELA_SMTP_URL. The error is
// Faults.
func (d *DeliverSettings) Providers() (*providerfile.File, error) {
	file := new(providerfile.File)
	if d.File != "" {
		text, err := os.ReadFile(d.File)
		if err != nil {
			return nil, Faults{fmt.Sprintf("MEDDELA_PROVIDERS_FILE cannot be read: %v", err)}
		}
		if file, err = providerfile.Parse(d.File, string(text), os.LookupEnv); err != nil {
			return nil, Faults(strings.Split(err.Error(), "\n"))
		}
	}
	if d.SMTPURL != "" {
		if err := file.AddMailServer(d.SMTPURL.Reveal()); err != nil {
			return nil, Faults{"MEDDELA_SMTP_URL: " + err.Error()}
		}
	}
	return file, nil
}

// allChannels stands for every channel in MEDDELA_SANDBOX_CHANNELS.
const allChannels = "all"

// Sandboxed reports whether a channel's messages go to the sandbox because the
// settings say so, whatever providers it has.
func (d *DeliverSettings) Sandboxed(channel topology.Channel) bool {
	return slices.Contains(d.Sandbox, allChannels) || slices.Contains(d.Sandbox, string(channel))
}

// Unprovided are those of some channels that have neither a provider nor the
// sandbox.
func (d *DeliverSettings) Unprovided(file *providerfile.File, channels []topology.Channel) (none []topology.Channel) {
	for _, channel := range channels {
		if _, ok := file.Routes[channel]; !ok && !d.Sandboxed(channel) {
			none = append(none, channel)
		}
	}
	return none
}
