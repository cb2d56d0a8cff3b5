package bench

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/meddela/meddela/topology"
)

// standIn is an HTTP provider on this machine that remembers every message that
// it was handed, by its idempotency key. Of a message that it is handed again it
// keeps count: one that honours the key would have accepted the first only, one
// that does not would have accepted them all.
type standIn struct {
	url    string
	server *http.Server
	slow   map[string]time.Duration // what an answer takes, by path

	mu    sync.Mutex
	taken map[topology.JobID]*taking
	order []topology.JobID // by first acceptance
}

// taking is what became of one job's message.
type taking struct {
	times int
	first time.Time
}

func startStandIn(slow map[string]time.Duration) (*standIn, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &standIn{url: "http://" + listener.Addr().String(), slow: slow, taken: make(map[topology.JobID]*taking)}
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	go func() { _ = s.server.Serve(listener) }()
	return s, nil
}

func (s *standIn) close() { _ = s.server.Close() }

func (s *standIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return // the sender died: nothing was accepted
	}
	key := topology.JobID(r.Header.Get("Idempotency-Key"))
	s.accept(key, time.Now())
	if wait := s.slow[r.URL.Path]; wait > 0 {
		time.Sleep(wait)
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = fmt.Fprintf(w, `{"id":"stand-in-%s"}`, key)
}

func (s *standIn) accept(key topology.JobID, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.taken[key]
	if t == nil {
		t = &taking{first: now}
		s.taken[key] = t
		s.order = append(s.order, key)
	}
	t.times++
}

// counts are how many jobs were accepted, and how often one was again.
func (s *standIn) counts() (accepted, again int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.taken {
		again += t.times - 1
	}
	return len(s.taken), again
}

// accepted is how many jobs were accepted.
func (s *standIn) accepted() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.taken)
}

// firstAt is when a job was accepted first; zero if it was not.
func (s *standIn) firstAt(key topology.JobID) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.taken[key]; t != nil {
		return t.first
	}
	return time.Time{}
}

// providersFile writes the configuration of providers that the roles use, and
// returns the environment that names it.
func (b *Bench) providersFile(text string) (environment []string, remove func(), err error) {
	dir, err := os.MkdirTemp("", "meddela-bench-")
	if err != nil {
		return nil, nil, err
	}
	path := filepath.Join(dir, "providers.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return nil, nil, err
	}
	return []string{"MEDDELA_PROVIDERS_FILE=" + path}, func() { _ = os.RemoveAll(dir) }, nil
}
