package config

import (
	"strings"
	"testing"

	"github.com/meddela/meddela/topology"
)

func TestUnprovided(t *testing.T) {
	for _, test := range []struct {
		url, sandbox string
		want         int
	}{
		{"", "", 4}, {"", "sms,push", 2}, {"", "all", 0}, {"smtp://mail?from=a@example.com", "", 3},
		{"smtp://mail?from=a@example.com", "sms,push,webhook", 0},
	} {
		d := DeliverSettings{SMTPURL: Secret(test.url)}
		if err := d.Sandbox.UnmarshalText([]byte(test.sandbox)); err != nil {
			t.Fatal(err)
		}
		file, err := d.Providers()
		if err != nil {
			t.Fatal(err)
		}
		if none := d.Unprovided(file, topology.Channels()); len(none) != test.want {
			t.Errorf("%+v: %v", test, none)
		}
	}
}

// TestPepper: one is needed for caps, and it is not short.
func TestPepper(t *testing.T) {
	var c Config
	c.Recipient.CapSMS = "3/1h"
	if err := c.CheckPepper(); err == nil || c.Hasher() != nil {
		t.Errorf("without a pepper, caps give %v", err)
	}
	for length, ok := range map[int]bool{1: false, 31: false, 32: true, 100: true} {
		c.Recipient.Pepper = Secret(strings.Repeat("p", length))
		short := strings.Contains(c.check().Error(), "MEDDELA_SUPPRESS_PEPPER")
		if short == ok || c.CheckPepper() != nil || c.Hasher() == nil {
			t.Errorf("%d bytes: too short %v", length, short)
		}
	}
}
