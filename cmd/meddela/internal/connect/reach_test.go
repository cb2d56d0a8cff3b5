package connect

import (
	"testing"
)

func TestCheckRedisVersion(t *testing.T) {
	for _, test := range []struct{ info, want string }{
		{"# Server\r\nredis_version:7.0.15\r\n", ""},
		{"# Server\r\nserver_name:valkey\r\nredis_version:7.2.4\r\nvalkey_version:8.1.0\r\n", ""},
		{"redis_version:10.1.0\r\n", ""},
		{"redis_version:unstable\r\n", ""},
		{"# Clients\r\nconnected_clients:1\r\n", ""},
		{"", ""},
		{"# Server\r\nredis_version:6.2.14\r\nredis_mode:standalone\r\n",
			"it is version 6.2.14, and meddela needs 7 or later"},
	} {
		got := ""
		if err := checkRedisVersion(test.info); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("of %q: %q, want %q", test.info, got, test.want)
		}
	}
}
