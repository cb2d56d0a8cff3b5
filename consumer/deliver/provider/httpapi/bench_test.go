package httpapi

import (
	"bytes"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/topology"
)

// BenchmarkSend compares sends with a client of net/http that makes the same
// requests in a loop, by turns, so that both meet the same machine.
func BenchmarkSend(b *testing.B) {
	const workers, turn = 8, 400
	s := newStand(b, nil)
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, `{"id":"m-1"}`)
	})
	p := newProvider(b, Config{
		URL: s.URL + "/v1/messages", Body: `{"to":{{json .To}},"text":{{json .Text}}}`,
		Concurrency: workers, MessageID: "$.id", Idempotent: true,
	})
	job, m := smsJob(), sms("Your code is 123456. It is valid for five minutes.")
	job.Expires = time.Now().Add(time.Hour)
	bare := &http.Client{Transport: &http.Transport{MaxConnsPerHost: workers, MaxIdleConnsPerHost: workers}}
	defer bare.CloseIdleConnections()
	body := []byte(`{"to":"+46 70-123 45 67","text":"Your code is 123456. It is valid for five minutes."}`)
	var sends, loops time.Duration
	b.ReportAllocs()
	for b.Loop() {
		sends += together(workers, turn, func() bool { return p.Send(b.Context(), job, m).Verdict == provider.Accepted })
		loops += together(workers, turn, func() bool { return post(bare, s.URL+"/v1/messages", body, job) })
	}
	messages := float64(b.N * workers * turn)
	b.ReportMetric(messages/sends.Seconds(), "sends/s")
	b.ReportMetric(messages/loops.Seconds(), "bare/s")
	b.ReportMetric(loops.Seconds()/sends.Seconds(), "ratio")
}

func together(workers, times int, do func() bool) time.Duration {
	began := time.Now()
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for range times {
				if !do() {
					panic("not accepted")
				}
			}
		})
	}
	all.Wait()
	return time.Since(began)
}

func post(client *http.Client, url string, body []byte, job *topology.Job) bool {
	r, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return false
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Idempotency-Key", string(job.JobID))
	answer, err := client.Do(r)
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	_, err = io.ReadAll(answer.Body)
	return err == nil && answer.StatusCode == http.StatusOK
}
