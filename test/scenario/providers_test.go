package scenario

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meddela/meddela/topology"
)

// TestProviders: the providers of a file, none of them ours: e-mail by Postfix,
// text messages by the second of two HTTP providers while the first is away.
func TestProviders(t *testing.T) {
	smtp, web := os.Getenv("MEDDELA_TEST_SMTP"), os.Getenv("MEDDELA_TEST_HTTP")
	if smtp == "" || web == "" {
		t.Log("without providers to send to: `test/servers/peers up` brings them up")
		return
	}
	onlyReal(t, func(t *testing.T, s *site) {
		const lane = topology.Realtime
		first, second := "/first-"+s.topics.Prefix, "/second-"+s.topics.Prefix
		answer(t, web, first, `{"status":503}`)
		answer(t, web, second, `{"status":200,"jsonBody":{"id":"m-7"}}`)
		file := filepath.Join(s.dir, "providers.yaml")
		if err := os.WriteFile(file, fmt.Appendf(nil, `providers:
  - name: postfix
    channels: [email]
    kind: smtp
    limit: {rate: 100, concurrency: 4, reserve: 0.25}
    smtp: {addr: "%s", tls: none, from: shop@example.com}
  - name: sms-first
    channels: [sms]
    kind: http
    http: {url: "%s%s", body: '{"to":{{ json .To }}}', allow_private: true}
  - name: sms-second
    channels: [sms]
    kind: http
    http: {url: "%s%s", body: '{"to":{{ json .To }}}', allow_private: true, message_id: $.id}
`, smtp, web, first, web, second), 0o600); err != nil {
			t.Fatal(err)
		}
		s.settings = []string{"MEDDELA_PROVIDERS_FILE=" + file, "MEDDELA_SANDBOX_CHANNELS=push,webhook"}
		s.startRoles(lane)
		mail := func(local string) record {
			return event(local, `{"id":%q,"type":"order_confirmation","email":"%s@mail.%s","ctx":{"firstName":"Kim","order":{"number":"A-1","total":"9.90","currency":"EUR"}}}`,
				local, local, recipientDomain)
		}
		code := func(id string) record {
			return event(id, `{"id":%q,"type":"one_time_code","channel":"sms","mobilePhone":"+358401234567","ctx":{"code":"004211"}}`, id)
		}
		want := map[string]string{
			"kim": "sent", "unknown": "ignored/invalid_address", "policy": "delivery_error/provider_rejected",
			"busy": "pending_delivery/transient", "code-1": "sent",
		}
		s.publish(lane, mail("kim"), mail("unknown"), mail("policy"), mail("busy"), code("code-1"))
		s.awaitOutcomes(20*time.Second, want)
		if hash := s.hash("code-1"); hash[topology.FieldProvider] != "sms-second" ||
			hash[topology.FieldProviderMessageID] != "m-7" {
			t.Errorf("the text message went by %s as %s", hash[topology.FieldProvider], hash[topology.FieldProviderMessageID])
		}

		// An operator stops the second: the first is all that is left.
		s.run("control", "pause", "provider:sms-second")
		time.Sleep(inForce)
		s.publish(lane, code("code-2"))
		s.awaitOutcomes(20*time.Second, map[string]string{"code-2": "pending_delivery/transient"})
		s.run("control", "pause", "provider:sms-first")
		time.Sleep(inForce)
		s.publish(lane, code("code-3"))
		s.awaitOutcomes(20*time.Second, map[string]string{"code-3": "pending_delivery/paused"})
		s.run("control", "resume", "provider:sms-second")
		s.awaitOutcomes(30*time.Second, map[string]string{"code-3": "sent", "code-2": "sent"})
	})
}

// answer tells the stand-in how to answer a path.
func answer(t *testing.T, web, path, response string) {
	t.Helper()
	body := fmt.Sprintf(`{"request":{"urlPath":%q},"response":%s}`, path, response)
	r, err := http.Post(web+"/__admin/mappings", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Body.Close() }()
	if r.StatusCode != http.StatusCreated {
		t.Fatalf("the stand-in answered %d", r.StatusCode)
	}
}
