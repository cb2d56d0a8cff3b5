package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/consumer/deliver/recipient/suppress"
	"github.com/meddela/meddela/topology"
)

// Hasher hashes recipients' addresses for Redis.
func (c *Config) Hasher() *suppress.Hasher { return suppress.NewHasher(c.Recipient.Pepper.Reveal()) }

// Caps are those of the channels that have one. The error is Faults.
func (c *Config) Caps() (map[topology.Channel]suppress.Cap, error) {
	caps := make(map[topology.Channel]suppress.Cap)
	var faults Faults
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
			faults = append(faults, fmt.Sprintf("%s is %q: %v", setting.name, wording.Abridged(setting.text), err))
		}
		caps[setting.channel] = limit
	}
	if len(faults) > 0 {
		return nil, faults
	}
	return caps, nil
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
