package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/meddela/meddela/test/script"
	"github.com/meddela/meddela/topology"
)

// report is what a run comes to.
type report struct {
	began  time.Time
	made   []happened
	rolled happened
}

// happened is a fault that was made, and what followed until the next one.
type happened struct {
	fault
	from, to time.Time
	seen     string
}

// make makes a fault, and waits until messages come through again.
func (r *report) make(s *stand, f planned) {
	h := happened{fault: f.fault, from: time.Now()}
	h.seen = f.make(s, rand.New(rand.NewPCG(f.chance, 0)))
	s.pause(2 * time.Second) // what was under way hides what does not begin again
	s.awaitRate("after " + f.kind)
	h.to = time.Now()
	r.made = append(r.made, h)
	fmt.Fprintf(os.Stderr, "%6.1f s  %-28s %5.1f s, real time stood still for %4.1f s, upstream for %4.1f s: %s\n",
		h.from.Sub(r.began).Seconds(), f.kind, h.to.Sub(h.from).Seconds(),
		s.provider.gap(topology.Realtime, h.from, h.to).Seconds(), s.upstream.gap(h.from, h.to).Seconds(), h.seen)
}

// rollOut replaces every process under load, one after the other.
func (r *report) rollOut(s *stand) {
	r.rolled.from = time.Now()
	for _, p := range slices.Clone(s.processes) {
		s.replace(p)
	}
	s.awaitRate("after the roll-out")
	r.rolled.to = time.Now()
}

// print prints the tables. It is true when what is promised held.
func (r *report) print(s *stand) bool {
	s.provider.Close() // which waits: nobody writes what is read here
	ids, doubts, ended := s.upstream.safe(), s.doubts(), s.ended()
	statuses := s.statuses(ids)
	published, took := len(s.upstream.ledger), r.rolled.to.Sub(r.began)
	fmt.Printf("\npublished %d in %v, %.0f/s (%d acknowledged, of %d it is unknown)\n", published,
		took.Round(time.Second), float64(published)/took.Seconds(), len(ids), published-len(ids))
	counts := make(map[topology.Status]int)
	var lost, wrong, covered, forgotten, uncounted int
	for id, is := range statuses {
		counts[is.word]++
		copies := s.provider.accepted[id]
		switch {
		case !is.word.Final():
			lost++
			example(lost, "lost", id, is)
		case !wanted(id, is.word, is.reason, doubts[id]), is.word == topology.Sent && copies == 0,
			copies > 0 && slices.Contains([]int{nobody, uncovered, unwanted}, kindOf(id)),
			copies > 0 && s.provider.first[id].Before(s.upstream.ledger[id].due(id)) && !s.hurried(s.provider.first[id]):
			wrong++
			example(wrong, "wrong", id, is)
		}
	}
	for id, copies := range s.provider.accepted {
		covered += min(copies-1, doubts[id])
		switch more := copies - 1 - doubts[id]; {
		case more <= 0:
		case s.forgotten(id, ended[id]):
			forgotten += more
			example(forgotten, "repeated, only Redis knew of the first"+s.when(id), id, statuses[id])
		default:
			uncounted += more
			example(uncounted, "repeated without a count"+s.when(id), id, statuses[id])
		}
	}
	for _, status := range []topology.Status{topology.Sent, topology.Ignored, topology.NotCovered,
		topology.DeliveryError, topology.Expired, topology.PendingDelivery, topology.Pending, ""} {
		if counts[status] > 0 {
			fmt.Printf("  %-18s %8d\n", status, counts[status])
		}
	}
	verified := s.verify()
	fmt.Printf("lost %d, wrong %d (events) and %d (status verify: Redis against the log)\n", lost, wrong, verified)
	fmt.Printf("repeated: %d counted as ambiguous (of %d counted), %d of which only an emptied Redis knew, "+
		"%d not counted\n", covered, sum(doubts), forgotten, uncounted)
	r.printFaults(s)
	rolled, again := r.rolled, s.repeated(r.rolled)
	fmt.Printf("rolling restart of every role: %.0f s, repeated %d, longest gap real time %.2f s, batch %.2f s\n",
		rolled.to.Sub(rolled.from).Seconds(), again, s.provider.gap(topology.Realtime, rolled.from, rolled.to).Seconds(),
		s.provider.gap(topology.Batch, rolled.from, rolled.to).Seconds())
	valid := r.valid(s, float64(len(ids))/took.Seconds())
	return valid && lost == 0 && wrong == 0 && verified == 0 && uncounted == 0 && again == 0
}

// example prints the first few of a kind.
func example(n int, what string, id topology.EventID, is status) {
	if n <= 5 {
		fmt.Printf("  %s: %s, %s %s\n", what, id, is.word, is.reason)
	}
}

// repeated is how many messages were accepted again of events that were published in a time.
func (s *stand) repeated(h happened) (n int) {
	for _, c := range s.provider.again {
		if at := s.upstream.ledger[c.id].at; at.After(h.from) && at.Before(h.to) {
			n++
		}
	}
	return n
}

// copies are when an event's message was accepted.
func (s *stand) copies(id topology.EventID) []time.Time {
	times := []time.Time{s.provider.first[id]}
	for _, c := range s.provider.again {
		if c.id == id {
			times = append(times, c.at)
		}
	}
	return times
}

// onItsWay is how long something may take to be sent that a clock has let go.
const onItsWay = 10 * time.Second

// hurried says whether something was sent while a process's clock was ahead, or was let go by it: what is scheduled may
// come early then.
func (s *stand) hurried(at time.Time) bool {
	return slices.ContainsFunc(s.report.made, func(h happened) bool {
		return h.kind == clockAhead && h.from.Before(at) && h.to.Add(onItsWay).After(at)
	})
}

// forgotten says whether Redis was emptied between the first copy of a message and the last, when the log did not tell
// yet that the event had ended: a deliverer had died, or stood still, with the message in its hands.
func (s *stand) forgotten(id topology.EventID, ended time.Time) bool {
	times := s.copies(id)
	return slices.ContainsFunc(s.report.made, func(h happened) bool {
		return h.kind == redisEmptied && h.to.After(times[0]) && h.from.Before(times[len(times)-1]) && ended.After(h.from)
	})
}

// ended is when the log was first told of each event that it has ended.
func (s *stand) ended() map[topology.EventID]time.Time {
	ended := make(map[topology.EventID]time.Time)
	for lane := range shares {
		log := string(s.names.DeliveryLog(lane))
		client := script.Must(kgo.NewClient(kgo.SeedBrokers(s.addrs(kafkaPort)...), kgo.ConsumeTopics(log)))
		ends := script.Must(kadm.NewClient(client).ListEndOffsets(s.ctx, log))
		left := 0
		ends.Each(func(o kadm.ListedOffset) { left += int(o.Offset) })
		for left > 0 {
			fetched := client.PollFetches(s.ctx)
			script.Check(fetched.Err())
			fetched.EachRecord(func(r *kgo.Record) {
				left--
				e, err := topology.DecodeEntry(r.Value)
				if _, known := ended[e.EventID]; err == nil && e.Status.Final() && !known {
					ended[topology.EventID(strings.Clone(string(e.EventID)))] = r.Timestamp
				}
			})
		}
		client.Close()
	}
	return ended
}

// when says when an event was published, and its message accepted, in seconds since the first fault.
func (s *stand) when(id topology.EventID) string {
	text := " (at"
	for _, at := range append([]time.Time{s.upstream.ledger[id].at}, s.copies(id)...) {
		text += fmt.Sprintf(" %.1f", at.Sub(s.report.began).Seconds())
	}
	return text + " s)"
}

// printFaults prints a line for each kind of fault: the longest time in which nothing new was accepted, the longest
// that a message waited which was published while the fault lasted, or until the next, and how long Kafka itself said
// nothing to upstream.
func (r *report) printFaults(s *stand) {
	fmt.Printf("%-28s %5s %9s %9s %9s %9s  %s\n", "fault", "times", "gap", "wait", "batch", "upstream", "bounded by")
	for _, f := range slices.Concat(faults, []fault{killedMeanwhile}) {
		var most [4]time.Duration
		times := 0
		for _, h := range r.made {
			if h.kind == f.kind {
				times++
				waits := s.longestWaits(h)
				for i, d := range []time.Duration{s.provider.gap(topology.Realtime, h.from, h.to),
					waits[topology.Realtime], waits[topology.Batch], s.upstream.gap(h.from, h.to)} {
					most[i] = max(most[i], d)
				}
			}
		}
		if times > 0 {
			fmt.Printf("%-28s %5d %7.1f s %7.1f s %7.1f s %7.1f s  %s\n", f.kind, times, most[0].Seconds(), most[1].Seconds(),
				most[2].Seconds(), most[3].Seconds(), f.bound)
		}
	}
}

// longestWaits are the longest that messages waited, by lane, which were published while a fault lasted, or until the
// next, and due at once.
func (s *stand) longestWaits(h happened) map[topology.Lane]time.Duration {
	longest := make(map[topology.Lane]time.Duration)
	for of, waits := range s.waits(h.from, h.to) {
		longest[of.lane] = max(longest[of.lane], slices.Max(waits))
	}
	return longest
}

// source is a partition of a lane's events.
type source struct {
	lane      topology.Lane
	partition int32
}

// waits are how long each message waited, by source, whose event was published in a time, and due at once.
func (s *stand) waits(from, to time.Time) map[source][]time.Duration {
	s.upstream.mu.Lock()
	defer s.upstream.mu.Unlock()
	s.provider.mu.Lock()
	defer s.provider.mu.Unlock()
	all := make(map[source][]time.Duration)
	for id, e := range s.upstream.ledger {
		if at, ok := s.provider.first[id]; ok && kindOf(id) != scheduled && e.at.After(from) && e.at.Before(to) {
			of := source{laneOf(id), e.partition}
			all[of] = append(all[of], at.Sub(e.at))
		}
	}
	return all
}

// percentile of some that are in order.
func percentile(waits []time.Duration, p int) time.Duration { return waits[len(waits)*p/100] }

// A run of half an hour makes faults of so many kinds at least.
const half, leastKinds = 30 * time.Minute, 14

// valid says whether the run says anything: events that Kafka took at the rate that was wanted, mostly, and faults that
// bit.
func (r *report) valid(s *stand, rate float64) bool {
	ok := rate >= float64(s.rate)/2
	if !ok {
		fmt.Printf("not valid: %.0f events/s, of %d wanted\n", rate, s.rate)
	}
	kinds := make(map[string]bool)
	for _, h := range r.made {
		kinds[h.kind] = true
		if h.seen == "" {
			fmt.Printf("not valid: nothing was seen of: %s\n", h.kind)
			ok = false
		}
	}
	fmt.Printf("%d faults of %d kinds\n", len(r.made), len(kinds))
	if s.only == "" && s.lasts >= half && len(kinds) < leastKinds {
		fmt.Printf("not valid: fewer kinds than %d in %v\n", leastKinds, s.lasts)
		ok = false
	}
	return ok
}

// verify is in how many events Redis differs from the log.
func (s *stand) verify() int {
	out, err := s.call("status", "verify", "-o", "json")
	var found struct {
		Differ, Behind, Lost int
		Causes               map[string]int
		Examples             json.RawMessage
	}
	if json.Unmarshal([]byte(out), &found) != nil {
		script.Check(err)
	}
	if found.Behind+found.Lost > 0 {
		script.Check(fmt.Errorf("status verify: %d records of the log are not in Redis yet, %d could not be read",
			found.Behind, found.Lost))
	}
	fmt.Printf("status verify: %v\n", found.Causes)
	if found.Differ > 0 {
		fmt.Printf("  %s\n", found.Examples)
	}
	return found.Differ
}

// doubts are how often the program has said of an event that it may have been sent, in the logs of all processes.
func (s *stand) doubts() map[topology.EventID]int {
	all := make(map[topology.EventID]int)
	for _, path := range script.Must(filepath.Glob(filepath.Join(s.dir, "logs", "*.log"))) {
		lines := bufio.NewScanner(bytes.NewReader(script.Must(os.ReadFile(path))))
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var line struct {
				Event  topology.EventID `json:"event_id"`
				Reason topology.Reason
			}
			if strings.Contains(lines.Text(), `"ambiguous"`) && json.Unmarshal(lines.Bytes(), &line) == nil &&
				line.Reason == topology.ReasonAmbiguous {
				all[line.Event]++
			}
		}
		script.Check(lines.Err())
	}
	return all
}

func sum(counts map[topology.EventID]int) (n int) {
	for _, count := range counts {
		n += count
	}
	return n
}
