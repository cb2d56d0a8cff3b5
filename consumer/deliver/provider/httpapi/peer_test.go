package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/meddela/meddela/consumer"
	"github.com/meddela/meddela/consumer/deliver"
	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/deliver/provider/httpapi"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

// oneTemplate is Templates with a text message.
type oneTemplate struct{ policy deliver.Policy }

func (o oneTemplate) Template(topology.TemplateRef) deliver.Template { return o }
func (oneTemplate) CatchUp(context.Context) error                    { return nil }
func (oneTemplate) Unreadable(string) bool                           { return false }
func (o oneTemplate) Policy() *deliver.Policy                        { return &o.policy }
func (oneTemplate) Render(e *topology.Event, language string) (template.Message, error) {
	return template.Message{Channel: topology.SMS, To: e.To, Text: "Your code is 004211", Language: language}, nil
}

// TestWireMock: every class of answer, and every fault, of a provider stand-in
// that is none of ours ends in the right status and reason.
func TestWireMock(t *testing.T) {
	peer := os.Getenv("MEDDELA_TEST_HTTP")
	if peer == "" {
		t.Log("without a real provider stand-in: set MEDDELA_TEST_HTTP, as test/run does when `test/servers/peers up` has brought one up")
		return
	}
	type stub = map[string]any
	status := func(code int) stub { return stub{"status": code} }
	const pending = topology.PendingDelivery
	for name, test := range map[string]struct {
		stub       stub
		idempotent bool
		hold       bool
		status     topology.Status
		reason     topology.Reason
		id         string
		wait       time.Duration // at least, before the next attempt
	}{
		"200": {stub: stub{"status": 200, "jsonBody": stub{"id": "m-7"}}, status: topology.Sent,
			id: "m-7"},
		"202":                {stub: stub{"status": 202, "jsonBody": stub{"id": 7}}, status: topology.Sent, id: "7"},
		"204, without an id": {stub: status(204), status: pending, reason: topology.ReasonTransient},
		"200 of maintenance": {stub: stub{"status": 200, "body": "<html>"}, hold: true, status: topology.DeliveryError,
			reason: topology.ReasonAmbiguous},
		"302": {stub: stub{"status": 302, "headers": stub{"Location": peer + "/elsewhere"}},
			status: pending, reason: topology.ReasonTransient},
		"400": {stub: status(400), status: topology.DeliveryError,
			reason: topology.ReasonProviderRejected},
		"400 of a bad number": {stub: stub{"status": 400, "jsonBody": stub{"code": 21211}}, status: topology.Ignored,
			reason: topology.ReasonInvalidAddress},
		"400 of one who said no": {stub: stub{"status": 400, "jsonBody": stub{"code": 21610}}, status: topology.Ignored,
			reason: topology.ReasonSuppressed},
		"200 that is a refusal": {stub: stub{"status": 200, "jsonBody": stub{"status": "rejected"}},
			status: topology.DeliveryError, reason: topology.ReasonProviderRejected},
		"401": {stub: status(401), status: pending, reason: topology.ReasonTransient},
		"403": {stub: status(403), status: pending, reason: topology.ReasonTransient},
		"404": {stub: status(404), status: topology.DeliveryError,
			reason: topology.ReasonProviderRejected},
		"422": {stub: status(422), status: topology.DeliveryError,
			reason: topology.ReasonProviderRejected},
		"408": {stub: status(408), status: pending, reason: topology.ReasonTransient},
		"429": {stub: stub{"status": 429, "headers": stub{"Retry-After": "90"}}, status: pending,
			reason: topology.ReasonTransient, wait: 90 * time.Second},
		"500": {stub: status(500), status: pending, reason: topology.ReasonTransient},
		"502": {stub: status(502), status: pending, reason: topology.ReasonTransient},
		"503": {stub: stub{"status": 503, "headers": stub{"Retry-After": "40"}}, status: pending,
			reason: topology.ReasonTransient, wait: 40 * time.Second},
		"504": {stub: status(504), status: pending, reason: topology.ReasonTransient},
		"504, held": {stub: status(504), hold: true, status: topology.DeliveryError,
			reason: topology.ReasonAmbiguous},
		"too slow": {stub: stub{"status": 200, "fixedDelayMilliseconds": 3000}, status: pending,
			reason: topology.ReasonTransient},
		"too slow, held": {stub: stub{"status": 200, "fixedDelayMilliseconds": 3000}, hold: true,
			status: topology.DeliveryError, reason: topology.ReasonAmbiguous},
		"reset": {stub: stub{"fault": "CONNECTION_RESET_BY_PEER"}, status: pending,
			reason: topology.ReasonTransient},
		"reset, held": {stub: stub{"fault": "CONNECTION_RESET_BY_PEER"}, hold: true,
			status: topology.DeliveryError, reason: topology.ReasonAmbiguous},
		"nothing": {stub: stub{"fault": "EMPTY_RESPONSE"}, status: pending, reason: topology.ReasonTransient},
		"garbage": {stub: stub{"fault": "RANDOM_DATA_THEN_CLOSE"}, status: pending,
			reason: topology.ReasonTransient},
		"garbage, held": {stub: stub{"fault": "RANDOM_DATA_THEN_CLOSE"}, hold: true, status: topology.DeliveryError,
			reason: topology.ReasonAmbiguous},
		"a body that is cut off": {stub: stub{"status": 400, "fault": "MALFORMED_RESPONSE_CHUNK"}, status: pending,
			reason: topology.ReasonTransient},
		"an answer of a megabyte": {stub: stub{"status": 201, "body": strings.Repeat("x", 1<<20)}, status: pending,
			reason: topology.ReasonTransient},
	} {
		t.Run(name, func(t *testing.T) {
			path := "/" + strings.NewReplacer(" ", "-", ",", "").Replace(name)
			tell(t, peer, path, test.stub)
			p, err := httpapi.New(httpapi.Config{
				Name: "sms-1", URL: peer + path, Body: `{"to":{{ json .To }},"text":{{ json .Text }}}`, MessageID: "$.id",
				Idempotent: test.idempotent, Timeout: 700 * time.Millisecond, AllowPrivate: true,
				Rules: []httpapi.Rule{
					{Status: "400", JSON: map[string][]string{"$.code": {"21211"}}, Verdict: provider.Skipped,
						Reason: topology.ReasonInvalidAddress},
					{Status: "400", JSON: map[string][]string{"$.code": {"21610"}}, Verdict: provider.Skipped,
						Reason: topology.ReasonSuppressed},
					{Status: "200", JSON: map[string][]string{"$.status": {"rejected"}}, Verdict: provider.Rejected},
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			client := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr()})
			defer func() { _ = client.Close() }()
			names := topology.Topics{Prefix: topology.DefaultPrefix}
			h, err := deliver.New(deliver.Config{
				Lane: topology.Realtime, Names: names, Keys: topology.Keys{Prefix: topology.DefaultKeyPrefix}, Redis: client,
				Templates: oneTemplate{deliver.Policy{HoldAmbiguous: test.hold}},
				Providers: map[topology.Channel]provider.Provider{topology.SMS: p},
				Tries:     1, Retries: []time.Duration{10 * time.Second},
			})
			if err != nil {
				t.Fatal(err)
			}
			job := topology.Job{
				JobID: topology.JobIDOf(topology.EventID("event"+path), 0), EventID: "event", Lane: topology.Realtime, Attempt: 1,
				Template: "code@1", Type: "code",
				Channel: topology.SMS, To: "+46700000123",
				Event: []byte(`{"id":"event","type":"code","channel":"sms","mobilePhone":"+46700000123","ctx":{}}`),
			}
			result, err := h.Handle(t.Context(), consumer.Batch{Records: []topology.Record{{Value: job.Append(nil)}}})
			if err != nil || result.Handled != 1 {
				t.Fatalf("handled %d, %v", result.Handled, err)
			}
			e, err := topology.DecodeEntry(result.Out[0].Value)
			if err != nil || e.Status != test.status || e.Reason != test.reason || e.ProviderMessageID != test.id {
				t.Errorf("%s %s (%s), id %q, %v", e.Status, e.Reason, e.Detail, e.ProviderMessageID, err)
			}
			if strings.Contains(e.Detail, "4670000") || strings.Contains(e.Detail, "004211") {
				t.Errorf("the detail has the address or the message: %s", e.Detail)
			}
			if (len(result.Out) == 2) != (test.status == pending) {
				t.Fatalf("%d outputs", len(result.Out))
			}
			if test.wait > 0 {
				text, _ := result.Out[1].Header(topology.HeaderDue)
				due, err := time.Parse(topology.TimeFormat, string(text))
				if err != nil || due.Sub(e.At) < test.wait {
					t.Errorf("it is tried again after %v, %v", due.Sub(e.At), err)
				}
			}
		})
	}
}

// tell tells the stand-in how to answer a path.
func tell(t *testing.T, peer, path string, answer map[string]any) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"request": map[string]any{"urlPath": path}, "response": answer})
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.Post(peer+"/__admin/mappings", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusCreated {
		text, _ := io.ReadAll(response.Body)
		t.Fatal(fmt.Sprint(response.StatusCode), string(text))
	}
	http.DefaultClient.CloseIdleConnections()
}
