package health

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/meddela/meddela/cmd/meddela/internal/config"
	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/topology"
)

// TestProbes: a role is ready when all its loops have joined, stays so for a while
// when it must join again, and has started once and for all.
func TestProbes(t *testing.T) {
	v := New(topology.Realtime, []topology.Role{topology.RoleDeliver, topology.RoleMatch}, "dev", 2)
	ask := func(path string) (int, string) {
		w := httptest.NewRecorder()
		v.page().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w.Code, w.Body.String()
	}
	expect := func(when, path string, code int, says string) {
		t.Helper()
		if got, text := ask(path); got != code || !strings.Contains(text, says) {
			t.Errorf("%s: %s is %d %q, want %d %q", when, path, got, text, code, says)
		}
	}
	expect("starting", "/livez", http.StatusOK, "ok")
	expect("starting", "/readyz", http.StatusServiceUnavailable, "starting")
	expect("starting", "/startupz", http.StatusServiceUnavailable, "starting")
	for group, role := range map[string]topology.Role{"g": topology.RoleDeliver, "h": topology.RoleMatch} {
		loop := consumer.New(consumer.Config{Group: group})
		v.Add(loop)
		v.Metrics.Of(role).Loop(loop)
	}
	expect("joining", "/readyz", http.StatusServiceUnavailable, "0 of 2")
	expect("joining", "/startupz", http.StatusServiceUnavailable, "0 of 2")
	v.started, v.joinedAt = true, time.Now()
	expect("joining again", "/readyz", http.StatusOK, "ok")
	v.joinedAt = time.Now().Add(-time.Minute)
	expect("joining for long", "/readyz", http.StatusServiceUnavailable, "joining")
	expect("joining for long", "/startupz", http.StatusOK, "ok")
	expect("always", "/livez", http.StatusOK, "ok")
	expect("always", "/version", http.StatusOK, `"version"`)
	expect("always", "/metrics", http.StatusOK, `meddela_group_joined{group="g",lane="realtime",role="deliver"} 0`)
	expect("always", "/metrics", http.StatusOK, `meddela_group_joined{group="h",lane="realtime",role="match"} 0`)
	expect("always", "/debug/pprof/", http.StatusNotFound, "")
}

// TestServe: an address that was asked for and cannot be had is an error; the
// default is left out where another process has it.
func TestServe(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	var log bytes.Buffer
	logger := zerolog.New(&log)
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "here") })

	stop, err := serve(logger, "MEDDELA_TEST_ADDR", taken.Addr().String(), page)
	if err != nil || !strings.Contains(log.String(), "set MEDDELA_TEST_ADDR to another host:port") {
		t.Errorf("by default: %v, %s", err, &log)
	}
	stop()
	t.Setenv("MEDDELA_TEST_ADDR", taken.Addr().String())
	var faults config.Faults
	if _, err := serve(logger, "MEDDELA_TEST_ADDR", taken.Addr().String(), page); !errors.As(err, &faults) {
		t.Errorf("asked for: %v", err)
	}
	for _, none := range []string{"", "-"} {
		if stop, err := serve(logger, "MEDDELA_TEST_ADDR", none, page); err != nil {
			t.Errorf("%q: %v", none, err)
		} else {
			stop()
		}
	}
}
