package scenario

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/meddela/meddela/topology"
)

// TestTroubles: what is wrong with a provider is shown by check, lag and control list, with its last answer, until it
// is well, or nobody finds so any more.
func TestTroubles(t *testing.T) {
	everywhere(t, func(t *testing.T, s *site) {
		const lane = topology.Realtime
		var status atomic.Int64
		web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(int(status.Load()))
		}))
		defer web.Close()
		file := filepath.Join(s.dir, "providers.yaml")
		if err := os.WriteFile(file, fmt.Appendf(nil, "providers:\n  - {name: texts, channels: [sms], kind: http, "+
			"breaker: {failures: 3, open: 1s}, http: {url: %q, allow_private: true}}\n", web.URL), 0o600); err != nil {
			t.Fatal(err)
		}
		s.settings = []string{"MEDDELA_PROVIDERS_FILE=" + file, "MEDDELA_SANDBOX_CHANNELS=email,push,webhook"}
		started := s.startRoles(lane)
		n := 0
		publish := func() {
			n++
			s.publish(lane, event("code", `{"id":"code-%d","type":"one_time_code","channel":"sms",`+
				`"mobilePhone":"+358401234567","ctx":{"code":"004211"}}`, n))
		}
		// shown wants in all that is said of providers a text, or none of it.
		shown := func(text string, wanted bool) {
			t.Helper()
			for _, command := range []string{
				"check", "check -o json", "lag", "lag -o json", "control list", "control list -o json",
			} {
				s.eventually(40*time.Second, fmt.Sprintf("%s says %q: %v", command, text, wanted), func() error {
					run := exec.Command(binary, strings.Fields(command)...)
					run.Env = s.environment()
					out, err := run.Output()
					if strings.Contains(string(out), text) != wanted || !wanted && strings.Contains(string(out), "circuit open") {
						return fmt.Errorf("%v: %s", err, out)
					}
					isWrong := wanted && strings.HasPrefix(command, "check") && strings.Contains(string(out), "circuit open")
					if failed := err != nil; failed != isWrong {
						t.Errorf("%s ended with %v: %s", command, err, out)
					}
					return nil
				})
			}
		}
		const answer = " answered 503"
		status.Store(http.StatusServiceUnavailable)
		publish()
		shown(answer, true)
		for range 2 {
			publish()
		}
		s.eventually(20*time.Second, "the circuit is open", func() error {
			var said struct{ Troubles []topology.Trouble }
			out := s.run("control", "list", "-o", "json")
			if err := json.Unmarshal(out, &said); err != nil || len(said.Troubles) != 1 || !said.Troubles[0].Open {
				return fmt.Errorf("%v: %s", err, out)
			}
			if is := said.Troubles[0]; is.Lane != lane || is.Channel != topology.SMS || is.Provider != "texts" ||
				is.Since.IsZero() || is.Since.After(is.At) || is.Until.Before(is.At) || time.Since(is.At) > time.Minute {
				t.Errorf("%+v", is)
			}
			return nil
		})
		shown(answer, true)
		status.Store(http.StatusOK)
		s.eventually(20*time.Second, "the provider is found well", func() error {
			publish()
			if s.hash(fmt.Sprintf("code-%d", n-1))["status"] != "sent" {
				return fmt.Errorf("%v", s.hash(fmt.Sprintf("code-%d", n-1)))
			}
			return nil
		})
		shown(answer, false)

		status.Store(http.StatusBadGateway)
		publish()
		shown(" answered 502", true)
		for _, p := range started {
			if p.role == topology.RoleDeliver {
				s.kill9(p)
			}
		}
		shown(" answered 502", false)
	})
}
