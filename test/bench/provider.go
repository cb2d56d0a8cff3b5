package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"github.com/meddela/meddela/topology"
)

// provider is an HTTP provider in this process that remembers every message that it was handed, by its idempotency key.
// Of a message that it is handed again it keeps count: one that honours the key would have accepted the first only, one
// that does not would have accepted them all.
type provider struct {
	*httptest.Server
	answer map[string]time.Duration // what an answer takes, by path

	mu    sync.Mutex
	first map[topology.JobID]time.Time
	again int
}

func startProvider(answer map[string]time.Duration) *provider {
	p := &provider{answer: answer, first: make(map[topology.JobID]time.Time)}
	p.Server = httptest.NewServer(p)
	return p
}

// entry is a path of the provider as the providers' file names it, with a line of further settings.
func (p *provider) entry(name string, channel topology.Channel, more string) string {
	return fmt.Sprintf(`  - name: %s
    channels: [%s]
    kind: http
    concurrency: 32
    http: {url: "%s/%s", body: '{"to":{{ json .To }},"subject":{{ json .Subject }}}', allow_private: true}
    %s
`, name, channel, p.URL, name, more)
}

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return // the sender died: nothing was accepted
	}
	key := topology.JobID(r.Header.Get("Idempotency-Key"))
	p.mu.Lock()
	if _, ok := p.first[key]; ok {
		p.again++
	} else {
		p.first[key] = time.Now()
	}
	p.mu.Unlock()
	if wait := p.answer[r.URL.Path]; wait > 0 {
		time.Sleep(wait)
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = fmt.Fprintf(w, `{"id":"bench-%s"}`, key)
}

// counts are how many jobs were accepted, and how often one was again.
func (p *provider) counts() (accepted, again int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.first), p.again
}

// delivery is a message that should reach the provider, and when its event is due.
type delivery struct {
	job topology.JobID
	due time.Time
}

func deliveryOf(e topology.Event, due time.Time) delivery {
	return delivery{topology.JobIDOf(e.ID, 0), due}
}

// delays are how long after they were due the messages that have come have come, in ms.
func (p *provider) delays(list []delivery) (ms []float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, d := range list {
		if at, ok := p.first[d.job]; ok {
			ms = append(ms, milliseconds(at.Sub(d.due)))
		}
	}
	return ms
}
