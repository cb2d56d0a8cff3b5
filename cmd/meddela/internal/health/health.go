// Package health serves what a process can be asked over HTTP: whether it lives, is
// ready and has started, its metrics, its version and its profiles.
package health

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	_ "net/http/pprof" // adds itself to http.DefaultServeMux
	"os"
	"runtime/debug"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/meddela/meddela/cmd/meddela/internal/build"
	"github.com/meddela/meddela/cmd/meddela/internal/config"
	"github.com/meddela/meddela/cmd/meddela/internal/metrics"
	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/topology"
)

const (
	// standstill is for how long a loop may not move before the process counts as
	// dead: longer than any provider may take with all its tries.
	standstill = 2 * time.Minute
	// rejoinTime is for how long a process that was ready counts as ready without
	// being a member of its groups: each process that comes or goes has all others
	// join again.
	rejoinTime = 30 * time.Second
)

// Checks are a process's signs of life: what probes ask for, and its metrics.
type Checks struct {
	version string
	Metrics *metrics.Metrics
	// expected is how many loops its roles have.
	expected int

	mu       sync.Mutex
	loops    []*consumer.Loop
	begun    bool      // a role without loops is at work
	started  bool      // it has been ready once
	joinedAt time.Time // when all loops were last seen joined
}

// New returns the checks of a process that runs roles of a lane, with as many loops,
// none of which has started.
func New(lane topology.Lane, roles []topology.Role, version string, loops int) *Checks {
	return &Checks{version: version, Metrics: metrics.New(lane, roles, version), expected: loops}
}

// Add hears of a loop that starts.
func (v *Checks) Add(loop *consumer.Loop) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.loops = append(v.loops, loop)
}

// Begin hears that a role without loops is at work.
func (v *Checks) Begin() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.begun = true
}

// live says what stands still, if anything does. That a server is away is no
// reason: another process would wait for it as well.
func (v *Checks) live() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, loop := range v.loops {
		if still := loop.Stats().Stalled(); still > standstill {
			return fmt.Errorf("%s has not moved for %v", loop.Group(), still.Round(time.Second))
		}
	}
	return nil
}

// Ready says what is missing for the role to do its work.
func (v *Checks) Ready() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	joined := 0
	for _, loop := range v.loops {
		if loop.Stats().Joined() {
			joined++
		}
	}
	switch {
	case v.begun:
		v.started = true
	case len(v.loops) < v.expected:
		return errors.New("starting: what the role must know is being read")
	case joined == v.expected:
		v.started, v.joinedAt = true, time.Now()
	case time.Since(v.joinedAt) > rejoinTime:
		return fmt.Errorf("joining the consumer groups: %d of %d", joined, v.expected)
	}
	return nil
}

// startedUp is ready until it was, and from then on nothing.
func (v *Checks) startedUp() error {
	err := v.Ready()
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.started {
		return nil
	}
	return err
}

// probe is something that can be asked over HTTP.
type probe func() error

func (p probe) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if err := p(); err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = fmt.Fprintln(w, err)
		return
	}
	_, _ = fmt.Fprintln(w, "ok")
}

func (v *Checks) page() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /livez", probe(v.live))
	mux.Handle("GET /readyz", probe(v.Ready))
	mux.Handle("GET /startupz", probe(v.startedUp))
	mux.Handle("GET /metrics", v.Metrics.Handler())
	mux.HandleFunc("GET /version", v.serveVersion)
	return mux
}

func (v *Checks) serveVersion(w http.ResponseWriter, _ *http.Request) {
	info, _ := debug.ReadBuildInfo()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(build.Of(v.version, info))
}

// serve answers on an address until stop is called; on none for an empty address
// and -. An address that cannot be had is an error at once.
func serve(log zerolog.Logger, setting, addr string, page http.Handler) (stop func(), err error) {
	if addr == "" || addr == "-" {
		return func() {}, nil
	}
	listener, err := net.Listen("tcp", addr)
	if _, chosen := os.LookupEnv(setting); err != nil && !chosen {
		log.Warn().Err(err).Msg("probes and metrics are not served: set " + setting +
			" to another host:port, or to - for none")
		return func() {}, nil
	}
	if err != nil {
		return nil, config.Faults{fmt.Sprintf("%s is %q: it cannot be listened on: %v. Set another host:port, or - for none",
			setting, wording.Abridged(addr), err)}
	}
	server := &http.Server{Handler: page, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error().Err(err).Str("addr", addr).Msg("probes and metrics are not served any more")
		}
	}()
	log.Info().Str("addr", listener.Addr().String()).Msg("serving")
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if server.Shutdown(ctx) != nil {
			_ = server.Close()
		}
		<-done
	}, nil
}

// Serve answers probes, metrics and profiles, where they are configured.
func (v *Checks) Serve(log zerolog.Logger, c *config.Config) (stop func(), err error) {
	stopPage, err := serve(log, "MEDDELA_HTTP_ADDR", c.HTTP.Addr, v.page())
	if err != nil {
		return nil, err
	}
	// Go's profiles, for an address that is not open to others.
	stopProfiles, err := serve(log, "MEDDELA_PPROF_ADDR", c.HTTP.PprofAddr, http.DefaultServeMux)
	if err != nil {
		stopPage()
		return nil, err
	}
	return func() { stopProfiles(); stopPage() }, nil
}
