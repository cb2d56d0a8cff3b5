package config

import (
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
