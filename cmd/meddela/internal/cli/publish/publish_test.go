package publish

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/producer"
	"github.com/meddela/meddela/topology"
)

// recorder is an eventPublisher that acknowledges everything but what is too large for an event, or says
// otherwise: a record that contains "refused", or "lost".
type recorder struct {
	mu      sync.Mutex
	records []topology.Record
	calls   []time.Time
	called  chan struct{}
}

func (r *recorder) PublishRecords(ctx context.Context, _ topology.Lane, records []topology.Record) ([]producer.Receipt,
	error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, time.Now())
	receipts := make([]producer.Receipt, len(records))
	for i, record := range records {
		switch {
		case len(record.Value) > topology.MaxEventBytes:
			receipts[i].Err = &topology.Fault{Reason: topology.ReasonTooLarge, Detail: "so many bytes"}
		case bytes.Contains(record.Value, []byte("refused")):
			receipts[i].Err = &topology.Fault{Reason: topology.ReasonMissingField, Field: "type", Detail: "is required"}
		case bytes.Contains(record.Value, []byte("lost")):
			receipts[i].Err = context.DeadlineExceeded
		default:
			receipts[i] = producer.Receipt{ID: "id", Partition: 1, Offset: int64(len(r.records))}
			r.records = append(r.records, record)
		}
	}
	if r.called != nil {
		r.called <- struct{}{}
	}
	return receipts, nil
}

func newPublication(to eventPublisher, asJSON bool) (p *publication, out, errOut *bytes.Buffer) {
	out, errOut = new(bytes.Buffer), new(bytes.Buffer)
	return &publication{
		lane: topology.Batch, timeout: time.Second, to: to, json: asJSON,
		out: bufio.NewWriter(out), errOut: errOut,
	}, out, errOut
}

const mixed = "one\n\nrefused\n" + "two\n"

func TestPublishGoesOnAfterFaults(t *testing.T) {
	to := new(recorder)
	p, out, errOut := newPublication(to, false)
	input := mixed + strings.Repeat("x", topology.MaxEventBytes+1) + "\nthree"
	p.input = strings.NewReader(input)
	err := p.run(t.Context())
	if err == nil || err.Error() != "2 of 5 events were not published" {
		t.Errorf("error %v, want 2 of 5", err)
	}
	want := "line 3: type: is required (missing_field)\nline 5: the line is longer than an event may be, 1 MiB (too_large)\n"
	if errOut.String() != want {
		t.Errorf("stderr %q\nwant   %q", errOut, want)
	}
	if !strings.HasPrefix(out.String(), "3 events published to batch in ") {
		t.Errorf("stdout %q", out)
	}
	if len(to.records) != 3 {
		t.Errorf("%d records published, want 3", len(to.records))
	}
}

func TestPublishReceiptsInJSON(t *testing.T) {
	p, out, errOut := newPublication(new(recorder), true)
	p.input = strings.NewReader(mixed)
	if err := p.run(t.Context()); err == nil {
		t.Error("no error for a refused event")
	}
	want := `{"line":1,"id":"id","partition":1,"offset":0}
{"line":3,"reason":"missing_field","error":"type: is required"}
{"line":4,"id":"id","partition":1,"offset":1}
`
	if out.String() != want {
		t.Errorf("stdout\n%swant\n%s", out, want)
	}
	if !strings.HasPrefix(errOut.String(), "2 events published") {
		t.Errorf("stderr %q", errOut)
	}
}

func TestPublishCountsManyFaults(t *testing.T) {
	p, _, errOut := newPublication(new(recorder), false)
	p.input = strings.NewReader(strings.Repeat("refused\n", 1000))
	err := p.run(t.Context())
	if err == nil || err.Error() != "1000 of 1000 events were not published" {
		t.Errorf("error %v", err)
	}
	if n := strings.Count(errOut.String(), "\n"); n != maxToldFaults+1 {
		t.Errorf("%d lines on stderr, want %d", n, maxToldFaults+1)
	}
}

func TestPublishGivesUpWhenKafkaIsAway(t *testing.T) {
	to := new(recorder)
	p, _, _ := newPublication(to, false)
	input := strings.Repeat("one\n", command.MaxBatchLines-1) + "lost\n" +
		strings.Repeat("never tried\n", command.MaxBatchLines)
	p.progress = command.NewProgress(p.errOut)
	var err error
	synctest.Test(t, func(t *testing.T) {
		reading, stop := context.WithCancel(t.Context())
		defer stop()
		queue := readAhead(reading, strings.NewReader(input))
		synctest.Wait() // so that the first batch is full
		err = p.publishAll(t.Context(), queue)
	})
	if !errors.Is(err, context.DeadlineExceeded) || !strings.HasPrefix(err.Error(),
		fmt.Sprintf("gave up at line %d: ", command.MaxBatchLines)) {
		t.Errorf("error %v", err)
	}
	if p.published != command.MaxBatchLines-1 || p.failed != 1 {
		t.Errorf("published %d, failed %d", p.published, p.failed)
	}
}

func TestPublishKeepsTheRate(t *testing.T) {
	to := new(recorder)
	p, _, _ := newPublication(to, false)
	p.pacer.Rate = 400
	const events = 100
	start := time.Now()
	p.input = strings.NewReader(strings.Repeat("one\n", events))
	if err := p.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	// The first batch goes at once, each other in its time.
	batch := p.pacer.BatchSize(command.MaxBatchLines)
	if least := time.Duration(float64(events-batch) / p.pacer.Rate * float64(time.Second)); time.Since(start) < least {
		t.Errorf("%d events took %s, want at least %s", events, time.Since(start), least)
	}
	if calls := len(to.calls); calls < events/batch {
		t.Errorf("%d calls for %d events in batches of %d", calls, events, batch)
	}
}

func TestPublishDoesNotWaitForMoreInput(t *testing.T) {
	to := &recorder{called: make(chan struct{})}
	p, _, _ := newPublication(to, false)
	in, out := io.Pipe()
	done := make(chan error, 1)
	p.input = in
	go func() { done <- p.run(t.Context()) }()
	for range 3 {
		if _, err := io.WriteString(out, "one\n"); err != nil {
			t.Fatal(err)
		}
		<-to.called // before the next line is written
	}
	_ = out.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestPublishStopsAtASignal(t *testing.T) {
	to := &recorder{called: make(chan struct{})}
	p, stdout, _ := newPublication(to, false)
	ctx, cancel := context.WithCancel(t.Context())
	in, out := io.Pipe()
	defer func() { _ = out.Close() }()
	done := make(chan error, 1)
	p.input = in
	go func() { done <- p.run(ctx) }()
	if _, err := io.WriteString(out, "one\n"); err != nil {
		t.Fatal(err)
	}
	<-to.called
	cancel()
	if err := <-done; err == nil || err.Error() != "stopped by a signal before the end of the input" {
		t.Errorf("error %v", err)
	}
	if !strings.HasPrefix(stdout.String(), "1 event published") {
		t.Errorf("stdout %q", stdout)
	}
}
