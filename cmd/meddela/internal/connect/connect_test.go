package connect

import (
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
	"github.com/segmentio/kafka-go"

	"github.com/meddela/meddela/cmd/meddela/internal/config"
	"github.com/meddela/meddela/test/fixtures"
)

func TestCompression(t *testing.T) {
	for name, want := range map[string]kafka.Compression{
		"none": 0, "gzip": kafka.Gzip, "snappy": kafka.Snappy, "lz4": kafka.Lz4, "zstd": kafka.Zstd,
	} {
		settings := config.KafkaSettings{Compression: name}
		if got := Compression(&settings); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
}

// sentinel says where the master is, to whoever has logged in with its password of the moment.
type sentinel struct {
	*server.Server
	password atomic.Value
}

func newSentinel(t *testing.T, master *miniredis.Miniredis) *sentinel {
	t.Helper()
	listens, err := server.NewServer("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(listens.Close)
	s := &sentinel{Server: listens}
	s.password.Store("one")
	in := func(answer func(c *server.Peer, args []string)) server.Cmd {
		return func(c *server.Peer, _ string, args []string) {
			if c.Ctx != s.password.Load() {
				c.WriteError("NOAUTH Authentication required.")
				return
			}
			answer(c, args)
		}
	}
	ok := in(func(c *server.Peer, _ []string) { c.WriteOK() })
	for name, answer := range map[string]server.Cmd{
		"AUTH": func(c *server.Peer, _ string, args []string) {
			if args[0] != "watcher" || args[1] != s.password.Load() {
				c.WriteError("WRONGPASS invalid username-password pair or user is disabled.")
				return
			}
			c.Ctx = args[1]
			c.WriteOK()
		},
		"CLIENT": ok, "PING": ok,
		"HELLO": func(c *server.Peer, _ string, _ []string) {
			c.WriteError("NOAUTH HELLO must be called with the client already authenticated")
		},
		"SENTINEL": in(func(c *server.Peer, args []string) {
			if args[0] != "get-master-addr-by-name" {
				c.WriteLen(0) // other sentinels
				return
			}
			c.WriteLen(2)
			c.WriteBulk(master.Host())
			c.WriteBulk(master.Port())
		}),
		"SUBSCRIBE": in(func(c *server.Peer, args []string) {
			for i, channel := range args {
				c.WritePushLen(3)
				c.WriteBulk("subscribe")
				c.WriteBulk(channel)
				c.WriteInt(i + 1)
			}
		}),
	} {
		if err := s.Register(name, answer); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// TestReplacedSentinelPassword: the next connection to a sentinel logs in with what is in the file then.
func TestReplacedSentinelPassword(t *testing.T) {
	master := miniredis.RunT(t)
	master.RequireAuth("of the master")
	s := newSentinel(t, master)
	file := filepath.Join(t.TempDir(), "password")
	write := func(password string) {
		if err := os.WriteFile(file, []byte(password), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("one")
	t.Setenv("MEDDELA_REDIS_SENTINEL_PASSWORD_FILE", file)
	client, err := Redis(&config.RedisSettings{
		Addrs: []string{s.Addr().String()}, Mode: "sentinel", MasterName: "m", Password: "of the master",
		SentinelUsername: "watcher", SentinelPassword: "one",
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	if err := client.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	s.password.Store("two")
	write("two")
	master.Close() // so that sentinels are asked again
	if err := master.Restart(); err != nil {
		t.Fatal(err)
	}
	fixtures.Await(t, "the new password is used", func() error { return client.Ping(t.Context()).Err() })
	if name := client.ClientGetName(t.Context()); name.Err() == nil && name.Val() != clientName {
		t.Errorf("the connection is called %q", name.Val())
	}
}
