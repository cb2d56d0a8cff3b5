package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/meddela/meddela/test/script"
)

// Servers are reached through proxies, on ports this much above where they listen for that (test/servers/up: PROXIED).
const (
	toListener = 200 // of Kafka: Redis has one port for all
	toProxy    = 300
)

// network is the proxies between the program and servers and providers.
type network map[string]*toxiproxy.Proxy

func (n network) add(name, listen, upstream string) *toxiproxy.Proxy {
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	n[name] = toxiproxy.NewProxy(server, name, listen, upstream)
	script.Check(n[name].Start())
	return n[name]
}

// poison makes the network to some servers as a toxic says, in both directions, until heal.
func (n network) poison(toxic string, names ...string) {
	for _, name := range names {
		for _, stream := range []string{"upstream", "downstream"} {
			_, err := n[name].Toxics.AddToxicJson(strings.NewReader(
				fmt.Sprintf(`{"name": %q, "stream": %q, %s}`, stream, stream, toxic)))
			script.Check(err)
		}
	}
}

func (n network) heal(names ...string) {
	for _, name := range names {
		n[name].Toxics.ResetToxics(context.Background())
	}
}

const (
	halfOpen  = `"type": "timeout", "attributes": {"timeout": 0}` // connections stay, and nothing comes through
	slowly    = `"type": "latency", "attributes": {"latency": 100, "jitter": 50}`
	slowStore = `"type": "latency", "attributes": {"latency": 40, "jitter": 20}`
)

// probe is how a server looks from the program's side of the network.
func (s *stand) probe(name string) string {
	ctx, cancel := context.WithTimeout(s.ctx, time.Second)
	defer cancel()
	began, addr, err := time.Now(), s.network[name].Listen, error(nil)
	switch {
	case strings.HasPrefix(name, "kafka"):
		client := script.Must(kgo.NewClient(kgo.SeedBrokers(addr)))
		defer client.Close()
		err = client.Ping(ctx)
	case strings.HasPrefix(name, "redis"):
		client := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1, ContextTimeoutEnabled: true})
		defer func() { _ = client.Close() }()
		err = client.Ping(ctx).Err()
	default:
		request := script.Must(http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/probe", nil))
		var response *http.Response
		if response, err = http.DefaultClient.Do(request); err == nil {
			_ = response.Body.Close()
		}
	}
	took := time.Since(began).Round(time.Millisecond)
	switch {
	case err != nil:
		return "does not answer"
	case took > 60*time.Millisecond:
		return fmt.Sprintf("answers after %v", took)
	}
	return ""
}
