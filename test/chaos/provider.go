package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"github.com/meddela/meddela/topology"
)

// provider is two providers by HTTP, on the paths /a and /b, that remember every message that they accepted.
type provider struct {
	*httptest.Server

	mu       sync.Mutex
	mode     map[string]string        // of a path; none is well
	ill      int                      // requests that met a mode, since it was set
	accepted map[topology.EventID]int // copies
	again    []copied                 // in the order in which they came
	first    map[topology.EventID]time.Time
	firsts   map[topology.Lane][]time.Time // the same by lane, in order
}

// copied is a message that was accepted again.
type copied struct {
	id topology.EventID
	at time.Time
}

// providersFile is that of the program: ADDR is the proxy before the providers.
const providersFile = `providers:
  - {name: a, channels: [email], kind: http, concurrency: 32, timeout: 4s, breaker: {open: 2s},
     http: {url: "http://ADDR/a", allow_private: true, body: '{"id":{{ json .EventID }},"lane":{{ json .Lane }}}'}}
  - {name: b, channels: [email], kind: http, concurrency: 32, timeout: 4s, breaker: {open: 2s},
     http: {url: "http://ADDR/b", allow_private: true, body: '{"id":{{ json .EventID }},"lane":{{ json .Lane }}}'}}
`

func startProvider() *provider {
	p := &provider{mode: make(map[string]string), accepted: make(map[topology.EventID]int),
		first: make(map[topology.EventID]time.Time), firsts: make(map[topology.Lane][]time.Time)}
	p.Server = httptest.NewServer(p)
	return p
}

// set makes the provider at some paths ill in a way, or well again, and returns how many requests have met the last
// way.
func (p *provider) set(mode string, paths ...string) (met int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, path := range paths {
		p.mode[path] = mode
	}
	met, p.ill = p.ill, 0
	return met
}

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/probe" {
		return
	}
	var message struct {
		ID   topology.EventID
		Lane topology.Lane
	}
	if json.NewDecoder(r.Body).Decode(&message) != nil {
		return // the sender died: nothing was accepted
	}
	p.mu.Lock()
	mode := p.mode[r.URL.Path]
	if mode != "" {
		p.ill++
	}
	p.mu.Unlock()
	switch mode {
	case "down":
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	case "throttling":
		w.Header().Set("Retry-After", "2")
		w.WriteHeader(http.StatusTooManyRequests)
		return
	case "slow":
		time.Sleep(1500 * time.Millisecond)
	}
	p.accept(message.ID, message.Lane)
	if mode == "mute" {
		panic(http.ErrAbortHandler) // the connection ends without an answer
	}
}

func (p *provider) accept(id topology.EventID, lane topology.Lane) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.accepted[id]++
	if p.accepted[id] > 1 {
		p.again = append(p.again, copied{id, time.Now()})
		return
	}
	p.first[id] = time.Now()
	p.firsts[lane] = append(p.firsts[lane], p.first[id])
}

// since is how many messages of a lane were accepted, for the first time, since then.
func (p *provider) since(lane topology.Lane, then time.Time) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	of := p.firsts[lane]
	for n < len(of) && of[len(of)-1-n].After(then) {
		n++
	}
	return n
}

// gap is the longest time in which no new message of a lane was accepted.
func (p *provider) gap(lane topology.Lane, from, to time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return longestGap(p.firsts[lane], from, to)
}

// longestGap is the longest time without any of some times, which are in order.
func longestGap(times []time.Time, from, to time.Time) (longest time.Duration) {
	for _, at := range append(times, to) {
		if at.After(to) {
			at = to
		}
		if at.After(from) {
			longest, from = max(longest, at.Sub(from)), at
		}
	}
	return longest
}
