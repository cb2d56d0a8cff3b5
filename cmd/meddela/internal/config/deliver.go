package config

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/meddela/meddela/cmd/meddela/internal/providerfile"
	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/consumer/deliver/recipient/suppress"
	"github.com/meddela/meddela/topology"
)

// Providers are those of the providers' file and of MEDDELA_SMTP_URL. The error is
// Faults.
func (d *DeliverSettings) Providers() (*providerfile.File, error) {
	file := new(providerfile.File)
	if d.File != "" {
		text, err := os.ReadFile(d.File)
		if err != nil {
			return nil, Faults{fmt.Sprintf("the providers' file cannot be read: %v", err)}
		}
		if file, err = providerfile.Parse(d.File, string(text), os.LookupEnv); err != nil {
			return nil, Faults(strings.Split(err.Error(), "\n"))
		}
	}
	if d.SMTPURL != "" {
		if err := file.AddMailServer(d.SMTPURL.Current("MEDDELA_SMTP_URL")); err != nil {
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

// SandboxedOf are those of some channels whose messages go to the sandbox.
func (d *DeliverSettings) SandboxedOf(channels []topology.Channel) []topology.Channel {
	return slices.DeleteFunc(slices.Clone(channels), func(c topology.Channel) bool { return !d.Sandboxed(c) })
}

// Unprovided are those of some channels that have neither a provider nor the
// sandbox.
func (d *DeliverSettings) Unprovided(file *providerfile.File, channels []topology.Channel) []topology.Channel {
	return slices.DeleteFunc(slices.Clone(channels), func(channel topology.Channel) bool {
		_, ok := file.Routes[channel]
		return ok || d.Sandboxed(channel)
	})
}

// Hasher hashes recipients' addresses; nil where there is no pepper.
func (c *Config) Hasher() *suppress.Hasher {
	if c.Recipient.Pepper == "" {
		return nil
	}
	return suppress.NewHasher(c.Recipient.Pepper.Reveal())
}

// CheckPepper wants one where there are caps.
func (c *Config) CheckPepper() error {
	if caps, _ := c.Caps(); len(caps) > 0 && c.Recipient.Pepper == "" {
		return Faults{"MEDDELA_SUPPRESS_PEPPER is not set, and a MEDDELA_CAP_… is: Redis would have hashes of addresses " +
			"that anybody can make. Set it to a secret such as `openssl rand -base64 32` makes"}
	}
	return nil
}

// Caps are those of the channels that have one, and what is wrong with them.
func (c *Config) Caps() (caps map[topology.Channel]suppress.Cap, faults Faults) {
	caps = make(map[topology.Channel]suppress.Cap)
	for _, setting := range []struct {
		name, text string
		channel    topology.Channel
	}{
		{"MEDDELA_CAP_EMAIL", c.Recipient.CapEmail, topology.Email},
		{"MEDDELA_CAP_SMS", c.Recipient.CapSMS, topology.SMS},
		{"MEDDELA_CAP_PUSH", c.Recipient.CapPush, topology.Push},
	} {
		if setting.text == "" {
			continue
		}
		limit, err := parseCap(setting.text)
		if err != nil {
			faults.add("%s is %q: %v", setting.name, wording.Abridged(setting.text), err)
		}
		caps[setting.channel] = limit
	}
	return caps, faults
}

func parseCap(text string) (suppress.Cap, error) {
	most, window, _ := strings.Cut(text, "/")
	n, err := strconv.Atoi(most)
	length, err2 := time.ParseDuration(window)
	if err != nil || err2 != nil {
		return suppress.Cap{}, fmt.Errorf("use a number of messages and a time, such as 3/1h")
	}
	limit := suppress.Cap{Most: n, Window: length}
	return limit, limit.Check()
}
