package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/meddela/meddela/test/script"
	"github.com/meddela/meddela/topology/retry"
)

// stand is everything that runs: the roles, the monitor, Prometheus, a provider that can be told to fail, and the
// systems that publish events.
type stand struct {
	ctx        context.Context
	binary     string
	prometheus string
	dir        string
	prefix     string
	running    map[string]*exec.Cmd
	http       map[string]string // addresses
	kafka      *kgo.Client

	provider *httptest.Server
	failing  [2]atomic.Bool // the provider's two paths, /a and /b

	publishers sync.WaitGroup
	quiet      context.CancelFunc
}

func newStand(ctx context.Context, binary, prometheus, dir string) *stand {
	brokers := os.Getenv("MEDDELA_KAFKA_BROKERS")
	if brokers == "" || os.Getenv("MEDDELA_REDIS_ADDRS") == "" {
		script.Check(errors.New("MEDDELA_KAFKA_BROKERS and MEDDELA_REDIS_ADDRS are not set: " +
			"bring servers up with BROKERS=3 test/servers/up"))
	}
	script.Check(os.MkdirAll(filepath.Join(dir, "logs"), 0o755))
	return &stand{
		ctx: ctx, binary: binary, prometheus: prometheus, dir: dir,
		kafka:  script.Must(kgo.NewClient(kgo.SeedBrokers(strings.Split(brokers, ",")...), kgo.AllowAutoTopicCreation())),
		prefix: fmt.Sprintf("alerts-%d.", time.Now().Unix()), running: make(map[string]*exec.Cmd),
		http: make(map[string]string),
	}
}

func (s *stand) start() {
	mux := http.NewServeMux()
	for i, path := range []string{"/a", "/b"} {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			if s.failing[i].Load() {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		})
	}
	s.provider = httptest.NewServer(mux)
	text := strings.ReplaceAll(providers, "PROVIDER", s.provider.URL)
	script.Check(os.WriteFile(s.path("providers.yaml"), []byte(text), 0o600))
	s.call("topics", "apply")
	s.call("templates", "publish", "cmd/meddela/samples/templates")
	for _, role := range []string{"match", "deliver", "status", "delay"} {
		s.startRole("realtime-" + role)
		s.startRole("batch-" + role)
	}
	s.startRole("monitor")
	s.startPrometheus()
	publishing, quiet := context.WithCancel(s.ctx)
	s.quiet = quiet
	s.publish(publishing, "realtime", 20, orderEvent)
	s.publish(publishing, "realtime", 5, codeEvent)
	s.publish(publishing, "batch", 10, orderEvent)
}

func (s *stand) path(name string) string { return filepath.Join(s.dir, name) }

// Both providers of text messages are limited, for both lanes together.
const providers = `providers:
  - {name: sms-a, channels: [sms], kind: http, limit: {rate: 60, reserve: 0.3},
     http: {url: "PROVIDER/a", body: '{"to":{{ json .To }}}', allow_private: true}}
  - {name: sms-b, channels: [sms], kind: http, limit: {rate: 60, reserve: 0.3},
     http: {url: "PROVIDER/b", body: '{"to":{{ json .To }}}', allow_private: true}}
`

func (s *stand) environment() []string {
	return append(os.Environ(),
		"MEDDELA_TOPIC_PREFIX="+s.prefix, "MEDDELA_KEY_PREFIX="+s.prefix, "MEDDELA_TOPICS_REPLICATION=3",
		"MEDDELA_TOPICS_MIN_INSYNC=2", "MEDDELA_TOPICS_PARTITIONS=6", "MEDDELA_LOG_FORMAT=json",
		"MEDDELA_PROVIDERS_FILE="+s.path("providers.yaml"), "MEDDELA_SANDBOX_CHANNELS=email,push,webhook",
	)
}

func (s *stand) call(args ...string) {
	command := exec.CommandContext(s.ctx, s.binary, args...)
	command.Env = s.environment()
	script.Run(command)
}

// startRole starts a role, by lane and name, or the monitor.
func (s *stand) startRole(name string) {
	if s.http[name] == "" {
		s.http[name] = script.FreeAddr()
	}
	args := []string{"lag", "--listen", "--every", "5s"}
	if lane, role, ok := strings.Cut(name, "-"); ok {
		args = []string{"run", role, "--lane", lane}
	}
	s.spawn(name, append(s.environment(), "MEDDELA_HTTP_ADDR="+s.http[name]), s.binary, args...)
}

func (s *stand) spawn(name string, env []string, program string, args ...string) {
	log := script.Must(os.OpenFile(s.path("logs/"+name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644))
	defer func() { _ = log.Close() }()
	command := exec.Command(program, args...)
	command.Env, command.Stdout, command.Stderr = env, log, log
	script.Check(command.Start())
	s.running[name] = command
}

func (s *stand) end(name string) {
	if command := s.running[name]; command != nil {
		_ = command.Process.Signal(syscall.SIGTERM)
		_ = command.Wait()
		delete(s.running, name)
	}
}

func (s *stand) stop() {
	if s.quiet != nil {
		s.quiet()
	}
	s.publishers.Wait()
	for name := range s.running {
		s.end(name)
	}
	if s.provider != nil {
		s.provider.Close()
	}
	s.kafka.Close()
}

func (s *stand) startPrometheus() {
	targets := slices.Collect(maps.Values(s.http))
	s.http["prometheus"] = script.FreeAddr()
	rules := script.Must(filepath.Abs("charts/meddela/files/rules.yaml"))
	config := fmt.Sprintf(`global: {scrape_interval: 5s, evaluation_interval: 5s}
rule_files: [%s]
scrape_configs:
  - job_name: meddela
    static_configs:
      - targets: [%s]
        labels: {namespace: messages}
`, rules, strings.Join(targets, ", "))
	script.Check(os.WriteFile(s.path("prometheus.yaml"), []byte(config), 0o644))
	s.spawn("prometheus", os.Environ(), s.prometheus, "--config.file="+s.path("prometheus.yaml"),
		"--storage.tsdb.path="+s.path("data"), "--web.listen-address="+s.http["prometheus"])
}

func (s *stand) prometheusURL() string {
	return "http://" + s.http["prometheus"]
}

// sample is one value of a query's answer.
type sample struct {
	Metric map[string]string
	Value  [2]any // its time and, as a text, its number
}

func (s *stand) query(expr string) ([]sample, error) {
	response, err := http.Get(s.prometheusURL() + "/api/v1/query?query=" + url.QueryEscape(expr))
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	var answer struct {
		Status, Error string
		Data          struct{ Result []sample }
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return nil, err
	}
	if answer.Status != "success" {
		return nil, fmt.Errorf("%s: %s", expr, answer.Error)
	}
	return answer.Data.Result, nil
}

// publish publishes events of a kind at a steady rate until ctx ends.
func (s *stand) publish(ctx context.Context, lane string, rate int, event func(i int) string) {
	s.publishers.Go(func() {
		for i := 0; retry.Sleep(ctx, time.Second/time.Duration(rate)); i++ {
			s.kafka.Produce(ctx, &kgo.Record{Topic: s.prefix + lane + ".events", Value: []byte(event(i))}, nil)
		}
	})
}

func orderEvent(i int) string {
	return fmt.Sprintf(`{"type":"order_confirmation","email":"kim%d@mail.example",`+
		`"ctx":{"firstName":"Kim","order":{"number":"A-%d","total":"9.90","currency":"EUR"}}}`, i, i)
}

func codeEvent(i int) string {
	return fmt.Sprintf(`{"type":"one_time_code","channel":"sms","mobilePhone":"+3584012%05d","ctx":{"code":"004211"}}`,
		i%100_000)
}
