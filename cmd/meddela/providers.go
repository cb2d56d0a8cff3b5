package main

import (
	"fmt"
	"io"
	"os"

	"github.com/meddela/meddela/consumer/deliver"
	"github.com/meddela/meddela/topology"
)

// providers are the configured ways out, by channel.
func (c *Config) providers() (map[topology.Channel]deliver.Provider, error) {
	sandbox, err := c.sandbox()
	if err != nil {
		return nil, err
	}
	chosen := map[topology.Channel]string{
		topology.Email:   c.Deliver.Email,
		topology.SMS:     c.Deliver.SMS,
		topology.Push:    c.Deliver.Push,
		topology.Webhook: c.Deliver.Webhook,
	}
	providers := make(map[topology.Channel]deliver.Provider, len(chosen))
	for channel, name := range chosen {
		if name == "smtp" {
			if providers[channel], err = c.SMTP.provider(); err != nil {
				return nil, err
			}
			continue
		}
		providers[channel] = sandbox
	}
	return providers, nil
}

func (c *Config) sandbox() (*deliver.Sandbox, error) {
	var writer io.Writer
	if path := c.Sandbox.File; path != "" {
		// Other processes may append too, which works for whole lines.
		file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return nil, Faults{fmt.Sprintf("MEDDELA_SANDBOX_FILE cannot be written: %v", err)}
		}
		writer = file
	}
	sandbox, err := deliver.NewSandbox(deliver.SandboxConfig{
		FailRate: c.Sandbox.FailRate,
		Latency:  c.Sandbox.Latency,
		Dir:      c.Sandbox.Dir,
		Writer:   writer,
	})
	if err != nil {
		return nil, Faults{fmt.Sprintf("MEDDELA_SANDBOX_…: %v", err)}
	}
	return sandbox, nil
}
