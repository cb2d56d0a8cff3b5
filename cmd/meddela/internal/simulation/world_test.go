package simulation

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"
	"github.com/segmentio/kafka-go"
	"github.com/spf13/pflag"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/meddela/meddela/cmd/meddela/internal/authoring"
	"github.com/meddela/meddela/cmd/meddela/internal/config"
	"github.com/meddela/meddela/cmd/meddela/internal/connect"
	"github.com/meddela/meddela/cmd/meddela/internal/providerfile"
	"github.com/meddela/meddela/cmd/meddela/internal/roles"
	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/deliver/provider/failover"
	"github.com/meddela/meddela/consumer/deliver/recipient/suppress"
	"github.com/meddela/meddela/consumer/status"
	"github.com/meddela/meddela/producer"
	"github.com/meddela/meddela/producer/embedded"
	"github.com/meddela/meddela/producer/provision"
	"github.com/meddela/meddela/topology"
)

// world is one simulation, within a bubble of testing/synctest.
type world struct {
	*testing.T
	plan    plan
	started time.Time
	network network
	outside outside
	broker  *embedded.Broker
	store   *embedded.Store

	in      *roles.Installation // of the one who watches, whose network never fails
	client  redis.UniversalClient
	reader  status.Reader
	admin   *kafka.Client
	writer  *producer.Publisher
	log     ledger
	running sync.WaitGroup // processes, and faults

	mu        sync.Mutex
	processes []*process      // by the layout, those that run at the moment
	away      []time.Duration // how long they are, when they end
	points    [][]*point      // of each place, where its processes are to be killed
	over      bool
	published map[topology.EventID]planned
	bitten    map[string]int // of each fault, how often it happened
	orders    []stopped
	unwanted  map[string]time.Time // since when addresses are suppressed
	emptied   []time.Time          // when Redis was
	seen      int                  // how often when the statuses were last read
}

// stopped is a time in which a type must not be sent.
type stopped struct {
	typ      string
	from, to time.Time
}

const manifest = `default_language: en
types: [%s]
channel: %s
`

var templates = fstest.MapFS{
	"order/template.yaml":    file("name: order\nttl: 24h\n" + fmt.Sprintf(manifest, "order", "email")),
	"order/en/email.subject": file("An order"), "order/en/email.txt": file("Dear {{.ctx.name}}"),
	"news/template.yaml": file("name: news\nttl: 72h\nquiet_hours: 22:00-08:00 UTC\n" +
		fmt.Sprintf(manifest, "news", "sms")),
	"news/en/sms.txt":     file("Dear {{.ctx.name}}"),
	"code/template.yaml":  file("name: code\nttl: 24h\non_ambiguous: hold\n" + fmt.Sprintf(manifest, "code", "sms")),
	"code/en/sms.txt":     file("Dear {{.ctx.name}}"),
	"alarm/template.yaml": file("name: alarm\nttl: 24h\nurgent: true\n" + fmt.Sprintf(manifest, "alarm", "push")),
	"alarm/en/push.json":  file(`{"title":"Alarm","body":"Dear {{.ctx.name}}"}`),
}

func file(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }

// settings are those of every process.
func (w *world) settings() *config.Config {
	c := new(config.Config)
	config.ReadSettings(c, pflag.NewFlagSet("", pflag.ContinueOnError))
	c.Kafka.Brokers = config.List{w.broker.Addr()}
	c.Redis.Addrs = config.List{w.store.Addr()}
	c.Topics.Partitions, c.Topics.Replication, c.Topics.MinInSync = w.plan.partitions, 1, 0
	c.Recipient.Pepper = "0123456789abcdef0123456789abcdef"
	c.Trace.Endpoint = ""
	return c
}

func newWorld(t *testing.T, p plan) *world {
	w := &world{T: t, plan: p, started: time.Now(), published: make(map[topology.EventID]planned),
		bitten: make(map[string]int), unwanted: make(map[string]time.Time)}
	w.outside.accepted = make(map[topology.JobID][]acceptance)
	var err error
	w.broker, err = embedded.StartBroker(embedded.BrokerConfig{Nodes: 3, Listen: w.network.Listen, RetainBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	w.store, err = embedded.StartStore(embedded.StoreConfig{Listen: w.network.Listen, ExpiryInterval: p.expiry})
	if err != nil {
		t.Fatal(err)
	}
	direct := connect.Dial(w.network.DialContext)
	if w.in, err = roles.New(w.settings(), zerolog.Nop(), roles.Dial{Kafka: direct, Redis: direct}); err != nil {
		t.Fatal(err)
	}
	if w.client, err = w.in.Redis(); err != nil {
		t.Fatal(err)
	}
	w.reader = status.Reader{Client: w.client, Keys: w.in.Keys}
	transport := w.in.Kafka.Transport()
	w.admin = &kafka.Client{Addr: w.in.Kafka.Addr(), Transport: transport}
	w.writer = &producer.Publisher{Addr: w.in.Kafka.Addr(), Transport: transport}
	w.prepare()
	w.processes, w.away = make([]*process, len(p.layout)), make([]time.Duration, len(p.layout))
	w.points = make([][]*point, len(p.layout))
	for i := range p.layout {
		w.running.Go(func() { w.keep(i) })
	}
	synctest.Wait()
	return w
}

// prepare makes topics, templates and a suppression.
func (w *world) prepare() {
	ctx := w.Context()
	if err := provision.Create(ctx, w.admin, w.in.Names.Specs(w.in.Config.Sizing())); err != nil {
		w.Fatal(err)
	}
	records, err := authoring.Load(templates)
	if err != nil {
		w.Fatal(err)
	}
	plan := authoring.PlanPublication(new(catalogue.Catalogue), records)
	if _, err = authoring.Write(ctx, w.writer, w.in.Names.Templates(), plan, time.Now()); err != nil {
		w.Fatal(err)
	}
	w.suppress("gone@example.test")
}

// suppress has addresses of mail get no more messages.
func (w *world) suppress(addresses ...string) {
	list := &suppress.List{Topic: w.in.Names.Suppressions(), Publish: w.publishTo(0)}
	var keep, stop func()
	list.Copy, keep, stop = connect.Suppressions(w.Context(), w.in.Config, w.in.Kafka, w.client, zerolog.Nop())
	defer stop()
	keep()
	var subjects []suppress.Subject
	for _, address := range addresses {
		subjects = append(subjects, suppress.Subject{Channel: topology.Email, Address: address})
	}
	if _, err := list.Add(w.Context(), subjects, topology.Unsubscribed, time.Time{}); err != nil {
		w.log.fault("suppressions", "%v", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, address := range addresses {
		w.unwanted[address] = time.Now()
	}
}

func (w *world) publishTo(partition int) func(context.Context, []topology.Record) error {
	return func(ctx context.Context, records []topology.Record) error {
		_, err := w.writer.Publish(ctx, partition, records)
		return err
	}
}

// process is one that runs, until it is killed or stopped.
type process struct {
	*link
	layout
	cancel context.CancelFunc
	gone   chan struct{} // closed when it is killed, or told to stop
	done   chan struct{} // closed when nothing of it runs any more
}

// start starts the process of a place of the layout.
func (w *world) start(i int) *process {
	p := &process{link: newLink(&w.network), layout: w.plan.layout[i], done: make(chan struct{})}
	w.mu.Lock()
	p.points = slices.Clone(w.points[i])
	w.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	p.gone, p.cancel = make(chan struct{}), sync.OnceFunc(func() { close(p.gone); cancel() })
	p.kill = func() { p.die(); p.cancel() }
	log := zerolog.New(&told{&w.log, p}).Level(zerolog.InfoLevel)
	in, err := roles.New(w.settings(), log, roles.Dial{Kafka: p.dial(kafkaServer), Redis: p.dial(redisServer)})
	if err != nil {
		w.Fatal(err)
	}
	in.Channels = []topology.Channel{topology.Email, topology.SMS, topology.Push}
	in.Started = func(*consumer.Loop) {}
	in.Build = func(site providerfile.Site) (map[topology.Channel]provider.Provider, func(), error) {
		routes := make(map[topology.Channel]provider.Provider)
		for _, channel := range in.Channels {
			name := string(channel) + "-carrier"
			route, err := failover.New(failover.Config{Name: string(channel), Stopped: site.Stopped,
				Backends: []failover.Backend{{Provider: &carrier{name, p.link, &w.outside}}}})
			if err != nil {
				return nil, nil, err
			}
			routes[channel] = route
		}
		return routes, func() {}, nil
	}
	var parts sync.WaitGroup
	for _, role := range p.roles {
		parts.Go(func() {
			if err := in.Run(ctx, role, w.plan.lane); err != nil && !p.isDead() {
				w.log.fault(p.name, "%s stopped: %v", role, err)
			}
		})
	}
	w.running.Go(func() { parts.Wait(); close(p.done) })
	return p
}

// keep runs the process of a place of the layout, and starts it again a while after it ends, until the simulation does.
func (w *world) keep(i int) {
	for !w.isOver() {
		p := w.start(i)
		w.mu.Lock()
		w.processes[i] = p
		w.mu.Unlock()
		select {
		case <-p.gone:
		case <-p.done: // by itself
		}
		w.mu.Lock()
		away := w.away[i]
		w.away[i] = time.Second
		w.mu.Unlock()
		time.Sleep(away)
	}
}

// isOver reports whether nothing is to be started any more.
func (w *world) isOver() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.over
}

func (w *world) process(i int) *process {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.processes[i]
}

// staysAway is how long the process of a place is away, when it ends.
func (w *world) staysAway(i int, lasts time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.away[i] = lasts
}

// bites counts a fault that has happened.
func (w *world) bites(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.bitten[what]++
}

// strike makes a fault happen, and ends it.
func (w *world) strike(f fault) {
	p := w.process(f.who)
	if !strings.HasPrefix(f.what, "kill ") {
		w.bites(f.what)
	}
	refuse := func(key kmsg.Key, err *kerr.Error, times int, meanwhile func()) {
		handle := w.broker.Cluster.Fault(kfake.Fault{Keys: []kmsg.Key{key}, Err: err, Count: times})
		time.Sleep(f.lasts)
		meanwhile()
		handle.Remove()
	}
	during := func(begin, end func()) { begin(); time.Sleep(f.lasts); end() }
	world := func(change func(o *outside)) {
		w.outside.mu.Lock()
		defer w.outside.mu.Unlock()
		change(&w.outside)
	}
	switch f.what {
	case "stop":
		w.staysAway(f.who, f.lasts)
		p.cancel()
	case "cut Kafka":
		during(func() { p.setCut(kafkaServer, true) }, func() { p.setCut(kafkaServer, false) })
	case "cut Redis":
		during(func() { p.setCut(redisServer, true) }, func() { p.setCut(redisServer, false) })
	case "hold Kafka":
		during(func() { p.hold(kafkaServer, true) }, func() { p.hold(kafkaServer, false) })
	case "hold Redis":
		during(func() { p.hold(redisServer, true) }, func() { p.hold(redisServer, false) })
	case "freeze":
		during(func() { p.hold(kafkaServer, true); p.hold(redisServer, true) },
			func() { p.hold(kafkaServer, false); p.hold(redisServer, false) })
	case "latency":
		by := time.Duration(f.n*f.n) * 20 * time.Millisecond
		during(func() { p.slow(kafkaServer, by); p.slow(redisServer, by) },
			func() { p.slow(kafkaServer, 0); p.slow(redisServer, 0) })
	case "Redis away":
		w.mu.Lock()
		all := slices.Clone(w.processes)
		w.mu.Unlock()
		during(func() {
			for _, p := range all {
				p.setCut(redisServer, true)
			}
		}, func() {
			for _, p := range all {
				p.setCut(redisServer, false)
			}
		})
	case "Redis emptied": // and others read again what it knew of
		refuse(kmsg.OffsetCommit, kerr.CoordinatorLoadInProgress, math.MaxInt32, func() {
			w.mu.Lock()
			if err := w.client.FlushAll(w.Context()).Err(); err != nil {
				w.log.fault("Redis", "%v", err)
			}
			w.emptied = append(w.emptied, time.Now())
			w.mu.Unlock()
			p.kill()
			<-p.done
		})
	case "produce timed out":
		refuse(kmsg.Produce, kerr.RequestTimedOut, f.n*3, func() {})
	case "produce refused":
		refuse(kmsg.Produce, kerr.NotEnoughReplicas, f.n*3, func() {})
	case "commit refused":
		refuse(kmsg.OffsetCommit, kerr.CoordinatorLoadInProgress, f.n*3, func() {})
	case "leaders move":
		w.broker.Cluster.ShufflePartitionLeaders()
	case "coordinators move":
		w.broker.Cluster.RehashCoordinators()
	case "provider down":
		during(func() { world(func(o *outside) { o.down = true }) }, func() { world(func(o *outside) { o.down = false }) })
	case "provider slow":
		during(func() { world(func(o *outside) { o.slow = time.Duration(f.n) * 2 * time.Second }) },
			func() { world(func(o *outside) { o.slow = 0 }) })
	case "answers lost":
		during(func() { world(func(o *outside) { o.loses = f.n * 10 }) }, func() { world(func(o *outside) { o.loses = 0 }) })
	case "pause":
		w.order(topology.Pause, "alarm", f.lasts)
	case "order to kill":
		w.order(topology.Kill, "code", f.lasts)
	case "suppression": // of some whose messages wait, or are to come
		var some []string
		for i := f.n; i < len(w.plan.events); i += 7 {
			if e := w.plan.events[i]; e.event.Channel == topology.Email && (e.kind == plain || e.kind == scheduled) {
				some = append(some, e.event.To)
			}
		}
		w.suppress(some...)
	case "one more":
		p := w.start(f.who)
		time.Sleep(f.lasts)
		if f.n%2 == 0 {
			p.kill()
		} else {
			p.cancel()
		}
		<-p.done
	default:
		what, after := strings.CutSuffix(strings.TrimPrefix(f.what, "kill "), " after")
		what = strings.TrimSuffix(what, " before")
		at := &point{what: what, after: after, met: make(chan struct{})}
		at.more.Store(int64(f.n))
		w.mu.Lock()
		w.points[f.who] = append(w.points[f.who], at)
		p := w.processes[f.who]
		w.mu.Unlock()
		p.mu.Lock()
		p.points = append(p.points, at)
		p.mu.Unlock()
		select {
		case <-at.met:
			w.staysAway(f.who, f.lasts)
			w.bites(f.what)
		case <-time.After(time.Until(w.started.Add(w.plan.load))):
		}
	}
}

// order has a type paused or killed for a while.
func (w *world) order(what topology.ControlAction, typ string, lasts time.Duration) {
	give := func(action topology.ControlAction) {
		subject := topology.SubjectOf(topology.SubjectType, typ)
		record := topology.ControlRecord{Subject: subject, Action: action, At: time.Now()}
		err := w.publishTo(0)(w.Context(), []topology.Record{{
			Topic: w.in.Names.Control(), Key: []byte(record.Subject), Value: record.Append(nil)}})
		if err != nil {
			w.log.fault("orders", "%v", err)
		}
	}
	give(what)
	from := time.Now()
	time.Sleep(lasts)
	w.mu.Lock()
	w.orders = append(w.orders, stopped{typ, from, time.Now()})
	w.mu.Unlock()
	give(topology.Resume)
}

// upstream does something with a client that is not ours, and waits until all is acknowledged.
func (w *world) upstream(does func(*kgo.Client)) {
	client, err := kgo.NewClient(kgo.SeedBrokers(w.broker.Addr()), kgo.Dialer(w.network.DialContext))
	if err != nil {
		w.Fatal(err)
	}
	defer client.Close()
	does(client)
	if err := client.Flush(w.Context()); err != nil {
		w.log.fault("upstream", "%v", err)
	}
}

// hand publishes an event.
func (w *world) hand(client *kgo.Client, e *topology.Event, value []byte) {
	record := &kgo.Record{Topic: string(w.in.Names.Events(w.plan.lane)), Key: []byte(e.ID), Value: value}
	client.Produce(w.Context(), record, func(_ *kgo.Record, err error) {
		if err != nil {
			w.log.fault("upstream", "%s: %v", e.ID, err)
		}
	})
}

// publish publishes the events of the plan.
func (w *world) publish(client *kgo.Client) {
	for _, e := range w.plan.events {
		time.Sleep(time.Until(w.started.Add(e.at)))
		now := time.Now().UTC().Truncate(time.Millisecond)
		switch e.kind {
		case scheduled:
			e.event.Scheduled = now.Add(time.Duration(1+len(e.event.ID)*3) * time.Second)
		case shortLived:
			e.event.Expiration = now.Add(10 * time.Second)
		case outlived:
			e.event.Expiration = now.Add(-time.Second)
		}
		value := e.event.Append(nil)
		if e.kind == invalid {
			value = fmt.Appendf(nil, `{"id":%q,"type":7}`, e.event.ID)
		}
		w.mu.Lock()
		w.published[e.event.ID] = e
		w.mu.Unlock()
		for range e.times {
			w.hand(client, &e.event, value)
		}
	}
}

// mostLines of what processes say are kept.
const mostLines = 20_000

// ledger has what the processes say.
type ledger struct {
	mu        sync.Mutex
	ambiguous map[topology.JobID]int
	lines     []string // the last ones
	faults    []string // what should not be
}

func (l *ledger) fault(who, format string, values ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.faults = append(l.faults, who+": "+fmt.Sprintf(format, values...))
}

// told is the log of a process. What it says after its death counts for nothing.
type told struct {
	*ledger
	*process
}

func (t *told) Write(b []byte) (int, error) {
	var line struct {
		Job    topology.JobID `json:"job_id"`
		Reason string         `json:"reason"`
	}
	if t.isDead() || json.Unmarshal(b, &line) != nil {
		return len(b), nil
	}
	t.ledger.mu.Lock()
	defer t.ledger.mu.Unlock()
	if line.Reason == string(topology.ReasonAmbiguous) && line.Job != "" {
		if t.ambiguous == nil {
			t.ambiguous = make(map[topology.JobID]int)
		}
		t.ambiguous[line.Job]++
	}
	if len(t.lines) == mostLines {
		t.lines = slices.Delete(t.lines, 0, mostLines/2)
	}
	t.lines = append(t.lines, time.Now().Format("04:05.000 ")+t.name+" "+string(bytes.TrimSpace(b)))
	return len(b), nil
}

// about are the lines that have a word.
func (l *ledger) about(word string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var some []string
	for _, line := range l.lines {
		if strings.Contains(line, word) {
			some = append(some, line)
		}
	}
	return strings.Join(some[max(0, len(some)-20):], "\n")
}
