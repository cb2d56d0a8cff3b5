package simulation

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/meddela/meddela/topology"
)

// plan is what is to happen, all of it chosen by the seed.
type plan struct {
	seed       uint64
	lane       topology.Lane
	partitions int
	layout     []layout
	events     []planned
	faults     []fault // by time
	load       time.Duration
	expiry     time.Duration // how exact Redis is
}

// layout is one process.
type layout struct {
	name  string
	roles []topology.Role
}

// planned is an event, and what may become of it.
type planned struct {
	at    time.Duration
	event topology.Event
	kind  kind
	times int // how often it is published
}

// kind is what an event is like.
type kind string

const (
	plain      kind = "plain"
	scheduled  kind = "scheduled"  // for some time after it is published
	shortLived kind = "shortlived" // valid for some seconds
	outlived   kind = "outlived"   // not valid any more
	uncovered  kind = "uncovered"
	noAddress  kind = "noaddress"
	suppressed kind = "suppressed"
	refused    kind = "refused"
	faulty     kind = "faulty"  // its template cannot be rendered
	invalid    kind = "invalid" // no event, but for its id
)

// ends are the statuses that a kind may end in. A message that may have been sent may always end as ambiguous.
var ends = map[kind][]topology.Status{
	plain: {topology.Sent}, scheduled: {topology.Sent}, shortLived: {topology.Sent, topology.Expired},
	outlived: {topology.Expired}, uncovered: {topology.NotCovered}, noAddress: {topology.Ignored},
	suppressed: {topology.Ignored}, refused: {topology.DeliveryError}, faulty: {topology.DeliveryError},
	invalid: {topology.NotCovered},
}

// fault is something that goes wrong, for a while.
type fault struct {
	at, lasts time.Duration
	what      string
	who       int // process
	n         int // of what is counted
}

func (f fault) String() string {
	return fmt.Sprintf("%6.1fs for %5.1fs  %-16s process %d, %d", f.at.Seconds(), f.lasts.Seconds(), f.what, f.who, f.n)
}

// points are the moments at which processes are killed; see conn.asked.
var points = []string{
	"Produce jobs", "Produce delivery-log", "Produce delay", "Produce paused", "Produce dead-letters",
	"OffsetCommit", "Fetch", "Heartbeat",
	"JoinGroup", "SyncGroup", "OffsetFetch", "claim", "settle", "merge", "position", "suppressions", "provider",
}

// rolesAt are those that come by a point; all where it is not named.
var rolesAt = map[string]topology.Role{
	"Produce jobs": topology.RoleMatch, "Produce dead-letters": topology.RoleMatch, "Produce delay": topology.RoleMatch,
	"Produce paused": topology.RoleDeliver,
	"claim":          topology.RoleDeliver, "settle": topology.RoleDeliver, "provider": topology.RoleDeliver,
	"suppressions": topology.RoleDeliver, "merge": topology.RoleStatus, "position": topology.RoleStatus,
}

// kinds of faults, beside the points.
var kinds = []string{
	"stop", "cut Kafka", "cut Redis", "hold Kafka", "hold Redis", "freeze", "latency", "Redis away",
	"Redis emptied", "produce timed out",
	"produce refused", "commit refused", "leaders move", "coordinators move", "provider down", "provider slow",
	"answers lost", "pause", "order to kill", "suppression", "one more",
}

// planOf is the plan of a seed, with some faults of every kind in a minute, or with each once in five.
func planOf(seed uint64, each bool) plan {
	r := rand.New(rand.NewPCG(seed, 1))
	p := plan{seed: seed, lane: topology.Lanes()[r.IntN(2)], partitions: 1 + r.IntN(4), load: time.Minute}
	events, whats := 100+r.IntN(100), slices.Clone(kinds)
	for _, what := range points {
		whats = append(whats, "kill "+what+" before", "kill "+what+" after")
	}
	if each {
		events, p.load = 600, 5*time.Minute
	} else {
		r.Shuffle(len(whats), func(i, j int) { whats[i], whats[j] = whats[j], whats[i] })
		whats = whats[:4+r.IntN(8)]
	}
	switch r.IntN(3) {
	case 0: // all in one, twice
		p.layout = []layout{{"all-1", topology.Roles()}, {"all-2", topology.Roles()}}
	case 1:
		for _, role := range topology.Roles() {
			p.layout = append(p.layout, layout{string(role), []topology.Role{role}})
		}
		p.layout = append(p.layout, layout{"deliver-2", []topology.Role{topology.RoleDeliver}})
	case 2:
		p.layout = []layout{
			{"match", []topology.Role{topology.RoleMatch, topology.RoleDelay}},
			{"deliver-1", []topology.Role{topology.RoleDeliver}}, {"deliver-2", []topology.Role{topology.RoleDeliver}},
			{"status-1", []topology.Role{topology.RoleStatus}},
			{"status-2", []topology.Role{topology.RoleStatus, topology.RoleMatch}},
		}
	}
	p.plan(r, events)
	for _, what := range whats {
		f := fault{at: time.Duration(r.Int64N(int64(p.load))), who: r.IntN(len(p.layout)), n: r.IntN(5) + 1, what: what}
		f.lasts = min(time.Duration(r.ExpFloat64()*float64(8*time.Second))+200*time.Millisecond, 40*time.Second)
		if each {
			f.n = min(f.n, 2)
			switch {
			case what == "pause", what == "order to kill":
				f.lasts = max(f.lasts, 15*time.Second)
			case slices.ContainsFunc([]string{"paused", "JoinGroup", "SyncGroup", "OffsetFetch"}, // which are rare
				func(rare string) bool { return strings.Contains(what, rare) }):
				f.at, f.n = 0, 1
			}
		}
		at, isPoint := strings.CutPrefix(what, "kill ")
		if role, ok := rolesAt[strings.TrimSuffix(strings.TrimSuffix(at, " before"), " after")]; isPoint && ok {
			for !slices.Contains(p.layout[f.who].roles, role) {
				f.who = (f.who + 1) % len(p.layout)
			}
		}
		p.faults = append(p.faults, f)
	}
	slices.SortFunc(p.faults, func(a, b fault) int { return int(a.at - b.at) })
	return p
}

// plan plans the events.
func (p *plan) plan(r *rand.Rand, events int) {
	kindsOfEvents := []kind{plain, plain, plain, plain, plain, plain, scheduled, scheduled, shortLived, outlived,
		uncovered, noAddress, suppressed, refused, faulty, invalid}
	for i := range events {
		e := planned{at: time.Duration(r.Int64N(int64(p.load))), times: 1, kind: kindsOfEvents[r.IntN(len(kindsOfEvents))]}
		if r.IntN(8) == 0 {
			e.times = 2
		}
		n := r.IntN(3)
		e.event = topology.Event{
			ID: topology.EventID(fmt.Sprintf("%s-%d", e.kind, i)), Type: []string{"order", "code", "alarm"}[n],
			Channel: []topology.Channel{topology.Email, topology.SMS, topology.Push}[n], Ctx: []byte(`{"name":"Kim"}`),
			To: []string{"kim%d@example.test", "+4670174%04d", "device-%d"}[n],
		}
		e.event.To = fmt.Sprintf(e.event.To, i)
		switch e.kind {
		case uncovered:
			e.event.Type = "nothing"
		case noAddress:
			e.event.To = ""
		case suppressed:
			e.event.Type, e.event.Channel, e.event.To = "order", topology.Email, "gone@example.test"
		case refused:
			e.event.Type, e.event.Channel, e.event.To = "order", topology.Email, fmt.Sprintf("refused%d@example.test", i)
		case faulty:
			e.event.Ctx = []byte(`{}`)
		}
		p.events = append(p.events, e)
	}
	slices.SortFunc(p.events, func(a, b planned) int { return int(a.at - b.at) })
}

// String is the plan for people.
func (p *plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: %s, %d partitions, %d events in %s, processes", p.seed, p.lane, p.partitions, len(p.events),
		p.load)
	for i, l := range p.layout {
		fmt.Fprintf(&b, " %d:%s", i, l.name)
	}
	for _, f := range p.faults {
		fmt.Fprintf(&b, "\n  %s", f)
	}
	return b.String()
}
