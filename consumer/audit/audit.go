// Package audit accounts for every event of a lane, from outside and by records alone: once role match has committed
// past an event, the delivery log or the dead letters tell of it; once the deliverers have committed past its job, the
// log tells more. Some bits are kept of each event until then. What nothing tells of is looked up: it is no event, or
// it is lost, and named.
package audit

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"github.com/segmentio/kafka-go"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/consumer/lag"
	"github.com/meddela/meddela/consumer/scan"
	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/retry"
)

// Config is what an auditor of one lane needs.
type Config struct {
	Lane   topology.Lane
	Names  topology.Topics
	Topics *scan.Topics
	// Every is how often it looks, Wait how much longer than its commit the outcome of a job may take: no longer by role
	// deliver, and as long as it takes by an engine that commits jobs before it has tried them.
	Every, Wait time.Duration
	Log         zerolog.Logger
}

// Auditor is of one lane.
type Auditor struct {
	Config
	gauge lag.Gauge
	read  map[place]int64 // how far delivery log and dead letters are read
	gone  map[place]int64 // up to where it is known that records were deleted unread
	begun bool
	id    string // of the events topic
	apart time.Duration
	// routes are, of each channel, that of its jobs, and that of those that wait.
	routes [4][2]route
	// saving becomes the position, by topic, once what it tells of is judged.
	saving   *snapshot
	position map[string][]kafka.OffsetCommit
	saved    time.Time // when the position was committed

	mu      sync.Mutex // of what follows
	events  []*window
	stats   Stats
	unnamed int64 // losses since it last looked that are not known one by one
}

type place struct {
	topic     topology.Topic
	partition int
}

// Stats are what an auditor has found.
type Stats struct {
	At      time.Time               // when it last looked at all
	Offsets map[string]int64        // of the events topic, by what they turned out to be
	Since   time.Time               // when it began at the present, so that nothing is known of events before
	Open    int64                   // events with a job of which nothing has come yet
	Waiting int64                   // events that are followed because they wait, or were open before a restart
	Noticed time.Duration           // the longest from when an event was written to when its loss was noticed
	Lost    []Loss                  // that are known one by one
	More    map[topology.Role]int64 // that are lost beyond those
}

// What offsets turn out to be, beside consumer.Passed.Why.
const (
	Event     = "event"     // something tells of it
	Absent    = "absent"    // compacted away
	Lost      = "lost"      // nothing tells of it
	Recovered = "recovered" // nothing told of it, and now something does
	GivenUp   = "given_up"  // it was open, or waited, when there were too many
	Letter    = "letter"    // its job became a dead letter
)

// Loss is what a role has committed past, and nothing tells of.
type Loss struct {
	Role      topology.Role
	Topic     topology.Topic
	Partition int
	From, To  int64            // its offset and the one after it, or those of several that were deleted
	ID        topology.EventID // where it is known
	named     bool             // it is in the log
}

const (
	mostLost  = 1000     // losses that are known one by one
	mostNamed = 20       // of those noticed at once that have a line of their own in the log
	lookBytes = 64 << 10 // of a fetch that finds out what an offset is
	lookTime  = 500 * time.Millisecond
	saveTime  = 10 * time.Second // between two commits where there is nothing new
	askTime   = 10 * time.Second
	clocks    = time.Minute // by how much those of processes may differ
	mostTries = 6           // of a fetch, so that a batch that stays damaged is passed over by the fetcher that met it
)

// Losers are the roles that can lose an event.
func Losers() []topology.Role {
	return []topology.Role{topology.RoleMatch, topology.RoleDeliver, topology.RoleDelay}
}

// New makes an auditor.
func New(c Config) *Auditor {
	a := &Auditor{Config: c, read: make(map[place]int64), gone: make(map[place]int64),
		apart: clocks, stats: Stats{Offsets: make(map[string]int64), More: make(map[topology.Role]int64)}}
	if c.Topics != nil {
		a.gauge = lag.Gauge{Addr: c.Topics.Addr, Transport: c.Topics.Transport, Names: c.Names,
			Lanes: []topology.Lane{c.Lane}, Roles: Losers(), Channels: topology.Channels(), Timeless: true}
	}
	return a
}

// Stats are what it has found so far.
func (a *Auditor) Stats() Stats {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.stats
	s.Lost, s.Offsets, s.More = slices.Clone(s.Lost), maps.Clone(s.Offsets), maps.Clone(s.More)
	return s
}

// Unaccounted are how many events, at most, a role has lost.
func (s *Stats) Unaccounted(role topology.Role) (n int64) {
	for _, l := range s.Lost {
		if l.Role == role {
			n += l.To - l.From
		}
	}
	return n + s.More[role]
}

// Run looks until ctx ends. begun is called whenever it has. That servers are away is no error.
func (a *Auditor) Run(ctx context.Context, begun func()) {
	for retry.Until(ctx, func() error { return a.look(ctx) }, func(err error, n int) {
		a.Log.Warn().Err(err).Int("times", n).Msg("the events cannot be accounted for; trying on")
	}) {
		begun()
		retry.Sleep(ctx, a.Every)
	}
}

// look asks how far roles have committed, then reads what could tell of that, and judges. All rests on this order: what
// came of what was committed is in the topics whose ends are asked for afterwards.
func (a *Auditor) look(ctx context.Context) error {
	report, err := a.gauge.Measure(ctx)
	if err != nil {
		return err
	}
	topics := []topology.Topic{a.Names.DeliveryLog(a.Lane), a.Names.DeadLetters(a.Lane), a.Names.Events(a.Lane)}
	ends := make([][]scan.Range, len(topics))
	for i, topic := range topics {
		if ends[i], err = a.Topics.All(ctx, topic); err != nil {
			return err
		}
	}
	log, events := append(ends[0], ends[1]...), ends[2]
	if err := a.resume(ctx, topics, log, events); err != nil {
		return err
	}
	for i := range events {
		if i == len(a.events) { // a partition that was added
			a.events = append(a.events, newWindow(0))
		}
		a.events[i].end = events[i].To
	}
	for _, of := range ends[:2] {
		if err := a.readOn(ctx, of); err != nil {
			return err
		}
	}
	delay := &report.Groups[len(report.Groups)-1] // the last of Losers
	for i := range report.Groups {
		g := &report.Groups[i]
		if g.Err != nil {
			return g.Err
		}
		for j := range g.Partitions {
			if err := a.judge(ctx, g, &g.Partitions[j], events); err != nil {
				return err
			}
		}
		if g.Role == topology.RoleDeliver {
			if err := cmp.Or(a.judgeJobs(ctx, events, g), a.judgeJobs(ctx, events, g, delay, g)); err != nil {
				return err
			}
		}
	}
	a.settle()
	return a.save(ctx)
}

// readOn reads the delivery log, or the dead letters, to its end.
func (a *Auditor) readOn(ctx context.Context, all []scan.Range) error {
	var ranges []scan.Range
	for _, r := range all {
		if r.From = a.read[place{r.Topic, r.Partition}]; r.Size() > 0 {
			ranges = append(ranges, r)
		}
	}
	var progress scan.Progress
	err := a.Topics.Scan(ctx, ranges, &progress, func(records []topology.Record) error {
		a.mu.Lock()
		defer a.mu.Unlock()
		for i := range records {
			a.take(&records[i])
		}
		last := &records[len(records)-1]
		a.read[place{last.Topic, last.Partition}] = last.Offset + 1
		return nil
	})
	if n := progress.Lost.Load(); n > 0 {
		a.Log.Error().Str("topic", string(ranges[0].Topic)).Int64("offsets", n).Msg("what this topic says cannot all be read")
		if ranges[0].Topic == a.Names.DeliveryLog(a.Lane) {
			a.events = nil // so that nothing is called lost that was told of there, which is most there is
			return cmp.Or(err, errUnread)
		} // while the events of dead letters that nobody can read are unaccounted for
	}
	for _, r := range ranges {
		if err == nil {
			a.read[place{r.Topic, r.Partition}] = r.To
		}
	}
	return err
}

var errUnread = errors.New("of what cannot be read of the log it is not known which events it tells of")

// take notes what a record tells.
func (a *Auditor) take(r *topology.Record) {
	var e topology.Entry
	channel, due, deadJob := -1, int64(0), false
	if r.Topic == a.Names.DeadLetters(a.Lane) {
		switch l := topology.LetterOf(r); l.Role {
		case topology.RoleMatch:
			e.Source = l.Original.Source()
		case topology.RoleDeliver, topology.RoleDelay:
			job, _ := topology.DecodeJob(l.Original.Value)
			e.EventID, e.Source, deadJob = job.EventID, job.Source, true
		default: // of a role that reads the events too, and does not answer for them
			return
		}
	} else if entry, err := topology.DecodeEntry(r.Value); err == nil {
		e = entry
		channel, due = tells(&e)
	}
	topic, partition, offset, ok := e.Source.Split()
	if ok && topic == a.Names.Events(a.Lane) && partition < len(a.events) {
		if ended := a.events[partition].tell(offset, channel, due); ended && deadJob {
			a.stats.Offsets[Letter]++
		}
	}
	if e.EventID == "" || len(a.stats.Lost) == 0 {
		return
	}
	a.stats.Lost = slices.DeleteFunc(a.stats.Lost, func(l Loss) bool {
		found := l.ID == e.EventID && (channel < 0 || due > 0 || l.Role == topology.RoleMatch)
		if found { // it came late, or was published again
			a.stats.Offsets[Recovered]++
			l.line(a.Log.Info()).Msg("an event that was unaccounted for is told of now")
		}
		return found
	})
}

// judge compares what is told with what a group had committed of a partition before. What had been deleted by then it
// will not read.
func (a *Auditor) judge(ctx context.Context, g *lag.Group, p *lag.Partition, events []scan.Range) error {
	past := max(p.Committed, p.First)
	switch at := (place{p.Topic, p.ID}); {
	case p.ID >= len(events):
	case p.Topic == a.Names.Events(a.Lane):
		w, kept, told := a.events[p.ID], &events[p.ID], int64(0)
		defer func() { a.count(Event, told) }()
		for upTo := min(past, w.end); w.matched < upTo; {
			to := w.matched + 1
			if w.isTold(w.matched) {
				w.matched = to
				told++
				continue
			}
			for to < min(upTo, kept.From) && !w.isTold(to) { // deleted side by side
				to++
			}
			if err := a.lookUp(ctx, w, kept, w.matched, to, g.Role); err != nil {
				return err
			}
			w.matched = to
		}
	case p.Topic == a.Names.Jobs(a.Lane): // of which each is followed
	case max(p.Committed, a.gone[at]) < p.First:
		a.lose(Loss{Role: g.Role, Topic: p.Topic, Partition: p.ID, From: max(p.Committed, a.gone[at], 0), To: p.First})
		a.gone[at] = p.First
	}
	return nil
}

// route is the way of jobs until something is told of them: groups have to commit, one after the other, all that their
// topics have when it is their turn, on whatever partitions, as topics may get more.
type route struct {
	upTo   []int64 // the events of each partition before these are followed; none while nothing is
	due    int64   // if they wait: those that were due by then
	step   int
	ends   []scan.Range // that the group whose turn it is has yet to commit
	passed time.Time    // when it was seen that it had
}

// judgeJobs judges the events with a job on a channel or, where there are three groups, those that wait. What match had
// committed is on its topic; deliverers tell of it, and commit it. What waits is on a delay topic when they have
// committed what it was, and on the jobs topic again when it is due and role delay has committed that.
func (a *Auditor) judgeJobs(ctx context.Context, events []scan.Range, groups ...*lag.Group) error {
	channel, waits := slices.Index(topology.Channels(), groups[0].Channel), len(groups)/3
	of, due := &a.routes[channel][waits], time.Now().Add(-a.apart-a.Wait).Unix()
	if over, err := a.pass(ctx, of, groups); err != nil || !over {
		return err
	}
	for p, upTo := range of.upTo {
		w := a.events[p]
		late, role := slices.Collect(w.open(channel, upTo)), topology.RoleDeliver
		if waits > 0 {
			late, role = w.overdue(channel, upTo, 1, of.due), topology.RoleDelay
		} else {
			late = append(late, w.overdue(channel, upTo, 0, 0)...) // open since before a restart
		}
		for _, o := range late {
			if err := a.lookUp(ctx, w, &events[p], o, o+1, role); err != nil {
				return err
			}
			w.tell(o, -1, 0)
		}
	}
	next, some := route{due: due}, false
	for _, w := range a.events {
		next.upTo = append(next.upTo, w.matched)
		if waits == 0 {
			some = some || w.from < w.matched || len(w.overdue(channel, w.matched, 0, 0)) > 0
		} else {
			some = some || len(w.overdue(channel, w.matched, 1, due)) > 0
		}
	}
	if *of = (route{}); some {
		*of = next
	}
	_, err := a.pass(ctx, of, groups)
	return err
}

// pass reports whether the groups of a route have done their part, or nothing is followed on it.
func (a *Auditor) pass(ctx context.Context, of *route, groups []*lag.Group) (over bool, err error) {
	if len(of.upTo) == 0 || of.step == len(groups) {
		return true, nil
	}
	g := groups[of.step]
	if of.ends == nil {
		for _, topic := range a.Names.Reads(g.Role, g.Lane) {
			if topic == a.Names.Paused(g.Lane) { // which is left when an order says so
				continue
			}
			all, err := a.Topics.All(ctx, topic)
			if err != nil {
				of.ends = nil
				return false, err
			}
			of.ends = append(of.ends, all...)
		}
		return false, nil
	}
	of.ends = slices.DeleteFunc(of.ends, func(r scan.Range) bool {
		return slices.ContainsFunc(g.Partitions, func(p lag.Partition) bool { // it ends before where it is another topic
			return p.Topic == r.Topic && p.ID == r.Partition && max(p.Committed, p.First) >= min(r.To, p.End)
		})
	})
	if of.passed.IsZero() && len(of.ends) == 0 {
		of.passed = time.Now()
	}
	if len(of.ends) > 0 || time.Since(of.passed) < a.Wait {
		return false, nil
	}
	of.step, of.ends, of.passed = of.step+1, nil, time.Time{}
	return a.pass(ctx, of, groups)
}

// lookUp finds out what an offset is that nothing tells of, or those up to another that are deleted: whether they were
// events cannot be told.
func (a *Auditor) lookUp(ctx context.Context, w *window, kept *scan.Range, from, to int64, role topology.Role) error {
	is, l := Lost, Loss{Role: role, Topic: kept.Topic, Partition: kept.Partition, From: from, To: to}
	if err := ctx.Err(); err != nil {
		return err
	}
	if from >= kept.From {
		if err := a.fetch(ctx, w, kept, from); err != nil {
			return err
		}
		var r *topology.Record
		if is, r = w.what(from); r != nil {
			event, _ := a.Names.DecodeEvent(*r, a.Lane) // which has an id, whatever is wrong with it
			a.mu.Lock()
			l.ID, a.stats.Noticed = event.ID, max(a.stats.Noticed, time.Since(r.Time))
			a.mu.Unlock()
		}
	}
	a.count(is, to-from)
	for _, k := range w.known {
		if k.Role == role && k.From <= l.From && l.From < k.To {
			l.From = min(k.To, to)
		}
	}
	if is == Lost && l.From < to {
		a.lose(l)
	}
	return nil
}

// fetch has a window know what is at an offset.
func (a *Auditor) fetch(ctx context.Context, w *window, kept *scan.Range, o int64) error {
	fetcher := consumer.Fetcher{Addr: a.Topics.Addr, Transport: a.Topics.Transport, Topic: kept.Topic,
		ID: kept.ID, Partition: kept.Partition, MaxBytes: lookBytes, MaxWait: lookTime}
	fetcher.SeekTo(o)
	for tries := 1; o < w.seen || o >= w.fetched.Next; tries++ {
		got, err := fetcher.Fetch(ctx)
		if err == nil && got.Moved {
			w.seen, w.fetched = o, got
		} else if tries == mostTries || ctx.Err() != nil {
			return cmp.Or(err, errNothing)
		}
	}
	return nil
}

var errNothing = errors.New("the broker brings nothing, though there are records")

// what is at an offset that a fetch has gone over, and its record if it is one.
func (w *window) what(offset int64) (is string, r *topology.Record) {
	i, ok := slices.BinarySearchFunc(w.fetched.Records, offset, func(r topology.Record, o int64) int {
		return cmp.Compare(r.Offset, o)
	})
	if ok {
		return Lost, &w.fetched.Records[i]
	}
	for _, b := range w.fetched.Passed {
		if b.First <= offset && offset <= b.Last {
			for o := b.First; b.Why == consumer.Unreadable && offset == b.First; o++ { // one dead letter is for all of it
				if o > b.Last {
					return Lost, nil
				} else if w.isTold(o) {
					break
				}
			}
			return b.Why, nil
		}
	}
	return Absent, nil
}

func (a *Auditor) count(is string, n int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stats.Offsets[is] += n
}

// lose notes a loss. Those that are deleted side by side are one.
func (a *Auditor) lose(l Loss) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if n := len(a.stats.Lost); n > 0 {
		last := &a.stats.Lost[n-1]
		next := Loss{Role: last.Role, Topic: last.Topic, Partition: last.Partition, From: last.To, To: l.To}
		if last.ID == "" && !last.named && l == next {
			last.To = l.To
			return
		}
		if n == mostLost {
			a.stats.More[l.Role] += l.To - l.From
			a.unnamed += l.To - l.From
			return
		}
	}
	a.stats.Lost = append(a.stats.Lost, l)
}

func (l *Loss) line(e *zerolog.Event) *zerolog.Event {
	return e.Str("committed_by", string(l.Role)).Str("topic", string(l.Topic)).Int("partition", l.Partition).
		Int64("offset", l.From).Int64("up_to", l.To-1).Str("event_id", string(l.ID))
}

// settle forgets what is accounted for, and names what is lost.
func (a *Auditor) settle() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stats.Open, a.stats.Waiting, a.stats.At = 0, 0, time.Now()
	for _, w := range a.events {
		open, forgotten := w.settle()
		a.stats.Open += open
		a.stats.Waiting += int64(len(w.waits))
		a.stats.Offsets[GivenUp] += forgotten
	}
	named := 0
	for i := range a.stats.Lost {
		if l := &a.stats.Lost[i]; !l.named {
			if named++; named <= mostNamed {
				l.line(a.Log.Error()).Msg("unaccounted for: this role has committed past it, and nothing tells what became of it: see MeddelaEventsUnaccounted in docs/alerts.md")
			} else {
				a.unnamed += l.To - l.From
			}
			l.named, a.saved = true, time.Time{}
		}
	}
	if a.unnamed > 0 {
		a.Log.Error().Int64("events", a.unnamed).Msg("more are unaccounted for than are named")
		a.unnamed, a.saved = 0, time.Time{}
	}
}

// snapshot is how far was read, and of which events of each partition that told: those below high. Once match has
// committed those, the auditor's position is: of the log where the snapshot was, and of the events where each partition
// is judged up to, with those before it that are open, or where the first of these is, and with those that wait, as far
// as there is room. What is lost by then is told with it: what is lost later is found again from there.
type snapshot struct {
	read map[place]int64
	high []int64
}

// save commits the position, in one request, of a group of its own. What was found is its metadata.
func (a *Auditor) save(ctx context.Context) error {
	next, judged := &snapshot{read: maps.Clone(a.read)}, a.saving != nil
	for i, w := range a.events {
		from, _ := w.aside()
		judged = judged && (i >= len(a.saving.high) || from >= a.saving.high[i])
		next.high = append(next.high, w.high)
	}
	if judged {
		a.position = make(map[string][]kafka.OffsetCommit)
		for at, offset := range a.saving.read {
			a.position[string(at.topic)] = append(a.position[string(at.topic)],
				kafka.OffsetCommit{Partition: at.partition, Offset: offset})
		}
		for i := range a.events {
			events := string(a.Names.Events(a.Lane))
			a.position[events] = append(a.position[events], a.remember(i))
		}
	}
	if judged || a.saving == nil {
		a.saving = next
	}
	if a.position == nil || time.Since(a.saved) < saveTime {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	client := kafka.Client{Addr: a.Topics.Addr, Transport: a.Topics.Transport}
	answer, err := client.OffsetCommit(ctx, &kafka.OffsetCommitRequest{
		GroupID: a.Names.Group(topology.RoleAudit, a.Lane), GenerationID: -1, Topics: a.position})
	if err == nil {
		for _, partitions := range answer.Topics {
			for _, p := range partitions {
				err = cmp.Or(err, p.Error)
			}
		}
	}
	if err != nil {
		return fmt.Errorf("the auditor's position: %w", err)
	}
	a.saved = time.Now()
	return nil
}

// mostMetadata is what Kafka takes with a commit unless it is told otherwise, less room for what is not counted.
const mostMetadata = 4096 - 300

// memory is what the position has of a partition of the events beside its offset: as JSON, in its metadata.
type memory struct {
	ID            string                  `json:",omitempty"` // of the topic
	Looked, Since int64                   `json:",omitempty"`
	Waits         map[int64]wait          `json:",omitempty"`
	Lost          []Loss                  `json:",omitempty"`
	More          map[topology.Role]int64 `json:",omitempty"` // that are lost beyond those
}

func (a *Auditor) remember(partition int) kafka.OffsetCommit {
	w := a.events[partition]
	from, waits := w.aside()
	m := memory{Waits: waits, More: make(map[topology.Role]int64)}
	if partition == 0 {
		m.ID, m.Looked, m.Since = a.id, a.stats.At.Unix(), a.stats.Since.Unix()
		maps.Copy(m.More, a.stats.More)
	}
	text, _ := json.Marshal(waits)
	room := mostMetadata - len(text)
	for _, l := range a.stats.Lost {
		text, _ := json.Marshal(l)
		if l.Partition%len(a.events) != partition {
			continue
		} else if room -= len(text) + 1; room > 0 {
			m.Lost = append(m.Lost, l)
		} else {
			m.More[l.Role] += l.To - l.From
		}
	}
	text, _ = json.Marshal(m)
	return kafka.OffsetCommit{Partition: partition, Offset: from, Metadata: string(text)}
}

func (a *Auditor) restore(w *window, text string) {
	var m memory
	if err := json.Unmarshal([]byte(text), &m); err != nil && text != "" { // another build's
		a.Log.Warn().Err(err).Msg("what the auditor before had found and followed cannot be read, and is forgotten")
		m = memory{Looked: time.Now().Unix(), Since: time.Now().Unix()}
	}
	maps.Copy(w.waits, m.Waits)
	a.mu.Lock()
	defer a.mu.Unlock()
	if m.Looked > 0 {
		a.id, a.stats.At, a.stats.Since = m.ID, time.Unix(m.Looked, 0), time.Unix(m.Since, 0)
	}
	for role, n := range m.More {
		a.stats.More[role] += n
	}
	for _, l := range m.Lost {
		l.named = true
		if at := (place{l.Topic, l.Partition}); l.Topic != a.Names.Events(a.Lane) {
			a.gone[at] = max(a.gone[at], l.To)
		} else {
			w.known = append(w.known, l)
		}
		a.stats.Lost = append(a.stats.Lost, l)
	}
}

// resume goes on from the auditor's own position when it starts. Where it has none that counts it begins at the
// present: of events that come from now on, the log tells from now on.
func (a *Auditor) resume(ctx context.Context, topics []topology.Topic, log, events []scan.Range) error {
	again := false // the events topic was made again: Kafka forgets what was committed of a topic that is deleted
	if !a.begun {
		asked := make(map[string][]int)
		for _, r := range append(log, events...) {
			asked[string(r.Topic)] = append(asked[string(r.Topic)], r.Partition)
		}
		saved, err := a.gauge.Committed(ctx, a.Names.Group(topology.RoleAudit, a.Lane), asked)
		if err != nil {
			return err
		}
		for _, topic := range topics {
			for _, c := range saved[string(topic)] {
				if at := (place{topic, c.Partition}); topic != events[0].Topic {
					a.read[at], again = max(c.CommittedOffset, 0), again || c.CommittedOffset >= 0
				} else if c.CommittedOffset >= 0 || a.events != nil { // of one added since from its first event on
					w := newWindow(max(c.CommittedOffset, 0))
					a.events = append(a.events, w)
					a.restore(w, c.Metadata)
				}
			}
		}
		a.begun, again = true, again && a.events == nil
	}
	why := ""
	again = again || a.events != nil && cmp.Or(a.id, events[0].ID) != cmp.Or(events[0].ID, a.id)
	for i, w := range a.events {
		if again || i >= len(events) || events[i].To < w.matched {
			why = fmt.Sprintf("%s/%d is another, or ends before %d, up to which it was judged", events[0].Topic, i, w.matched)
		}
	}
	for _, r := range log {
		if at := a.read[place{r.Topic, r.Partition}]; at < r.From || at > r.To {
			why = fmt.Sprintf("%s/%d has offsets %d to %d, and was read to %d", r.Topic, r.Partition, r.From, r.To, at)
			again = false
		}
	}
	a.id = cmp.Or(events[0].ID, a.id)
	if a.events != nil && why == "" {
		return nil
	}
	a.Log.Warn().Str("why", cmp.Or(why, "there is no position of an earlier one")).
		Msg("the audit begins at the present: of events before, it is not known whether all are accounted for")
	a.mu.Lock()
	defer a.mu.Unlock()
	a.events, a.saving, a.position, a.routes, a.stats.Since = nil, nil, nil, [4][2]route{}, time.Now()
	for _, r := range events {
		if again { // each of its records is new
			r.To = r.From
		}
		a.events = append(a.events, newWindow(r.To))
	}
	for _, r := range log {
		if !again {
			a.read[place{r.Topic, r.Partition}] = r.To
		}
	}
	return nil
}
