package scenario

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/meddela/meddela/topology"
)

// The limits of memory that the chart gives to each role, and to the monitor.
const (
	chartMemory   = 256 << 20
	monitorMemory = 192 << 20
)

// TestHostileBatches, on a real broker, with each role and the monitor in a control group of the memory that the
// chart gives it: all go on, the events before and after on the same partition are sent, the one after soon.
func TestHostileBatches(t *testing.T) {
	onlyReal(t, func(t *testing.T, s *site) {
		const lane = topology.Realtime
		notices := filepath.Join(s.dir, "notices.yaml")
		if err := os.WriteFile(notices, []byte("webhooks:\n  - {name: crm, url: \"http://127.0.0.1:9/\", types: [nobody_sends], "+
			"secrets: [{env: NOTICES_SECRET}], allow_private: true}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		s.settings = []string{"MEDDELA_NOTICES_FILE=" + notices, "NOTICES_SECRET=" + receiverSecret}
		// Nobody reads batch, so that the monitor finds all of it at every look.
		monitor := s.launch(&process{name: "monitor"}, "lag", "--listen", "--every", "1s")
		memory := map[*process]int{monitor: monitorMemory}
		for _, p := range append(s.startRoles(lane), s.start(topology.RoleNotify, lane)) {
			memory[p] = chartMemory
		}
		for p, limit := range memory {
			s.confine(p, limit)
		}
		record := func(r kgo.Record) *kgo.Record { return &r }
		zeros := func(megabytes int) []*kgo.Record {
			return []*kgo.Record{record(kgo.Record{Value: make([]byte, megabytes<<20)})}
		}
		unread := 0
		for i, hostile := range []struct {
			name    string
			packing kgo.CompressionCodec
			records []*kgo.Record
		}{
			{"400 MB of zeros in gzip", kgo.GzipCompression(), zeros(400)},
			{"400 MB of zeros in zstd", kgo.ZstdCompression(), zeros(400)},
			{"200 MB of zeros in lz4", kgo.Lz4Compression(), zeros(200)},
			{"15 MB of zeros in snappy", kgo.SnappyCompression(), zeros(15)},
			{"150 valid events of 1 MB", kgo.GzipCompression(), times(150, func(i int) *kgo.Record {
				return record(kgo.Record{Value: fmt.Appendf(nil, `{"id":"large-%d","type":"unheard_of","ctx":{"x":"%01000000d"}}`, i, i)})
			})},
			{"500,000 headers", kgo.GzipCompression(), []*kgo.Record{
				record(kgo.Record{Value: []byte("{}"), Headers: make([]kgo.RecordHeader, 500_000)}),
			}},
			{"130,000 null values", kgo.GzipCompression(), times(130_000, func(int) *kgo.Record {
				return record(kgo.Record{})
			})},
		} {
			before, next := order(fmt.Sprintf("before-%d", i), "mail"), order(fmt.Sprintf("next-%d", i), "mail")
			before.partition, next.partition = 0, 0
			s.publishBatch(topology.Batch, hostile.packing, hostile.records)
			unread += len(hostile.records)
			s.publish(lane, before)
			s.publishBatch(lane, hostile.packing, hostile.records)
			s.publish(lane, next)
			began := time.Now()
			s.eventually(time.Minute, "the event after "+hostile.name+" is sent", func() error {
				if len(s.acceptances()[next.key]) == 0 {
					return errors.New("it is not")
				}
				return nil
			})
			sent := time.Since(began).Round(time.Millisecond)
			s.awaitOutcomes(time.Minute, map[string]string{before.key: "sent", next.key: "sent"})
			t.Logf("%s: the next event was sent after %v, and its status came after %v", hostile.name, sent,
				time.Since(began).Round(time.Millisecond))
			for p := range memory {
				select {
				case <-p.ended:
					t.Fatalf("%s ended of %s: %v", p.name, hostile.name, p.err)
				default:
				}
			}
		}
		topic := s.topics.Events(topology.Batch)
		s.eventually(20*time.Second, "the monitor has looked at all", func() error {
			return monitor.shows([]string{fmt.Sprintf(
				`meddela_lag_records{channel="",group=%q,lane="batch",partition="0",role="match",topic=%q} %d`,
				s.topics.Group(topology.RoleMatch, topology.Batch), topic, unread)})
		})
		for p, limit := range memory {
			if peak := p.peak(t); peak > limit {
				t.Errorf("%s took %d MB", p.name, peak>>20)
			} else {
				t.Logf("%s took at most %d MB", p.name, peak>>20)
			}
		}
	})
}

func times[T any](n int, make func(int) T) (all []T) {
	for i := range n {
		all = append(all, make(i))
	}
	return all
}

// publishBatch publishes records as events to partition 0, as one batch.
func (s *site) publishBatch(lane topology.Lane, packing kgo.CompressionCodec, records []*kgo.Record) {
	s.t.Helper()
	for _, r := range records {
		r.Topic = string(s.topics.Events(lane))
	}
	upstream, err := newFranz(s.brokers,
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(packing),
		kgo.ProducerBatchMaxBytes(900<<20), kgo.BrokerMaxWriteBytes(1000<<20), kgo.ProducerLinger(2*time.Second),
		kgo.MaxBufferedRecords(1_000_000))
	if err != nil {
		s.t.Fatal(err)
	}
	defer upstream.client.Close()
	if err := upstream.client.ProduceSync(context.Background(), records...).FirstErr(); err != nil {
		s.t.Fatal(err)
	}
}

// confine puts a process into a control group of so much memory, where the machine lets us.
func (s *site) confine(p *process, memory int) {
	for _, v := range []struct{ parent, limit string }{
		{"/sys/fs/cgroup/memory", "memory.limit_in_bytes"},
		{"/sys/fs/cgroup", "memory.max"},
	} {
		dir := filepath.Join(v.parent, "meddela-"+strconv.Itoa(p.command.Process.Pid))
		if _, err := os.Stat(filepath.Join(v.parent, "cgroup.procs")); err != nil || os.Mkdir(dir, 0o755) != nil {
			continue
		}
		go func() { <-p.ended; _ = os.Remove(dir) }()
		err := errors.Join(
			os.WriteFile(filepath.Join(dir, v.limit), []byte(strconv.Itoa(memory)), 0o600),
			os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(p.command.Process.Pid)), 0o600),
		)
		if err == nil {
			return
		}
	}
	s.t.Logf("%s is in no control group of its own; what it takes is compared at the end", p.name)
}

var highWater = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// peak is the most memory that a process has had, in bytes.
func (p *process) peak(t *testing.T) int {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.command.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	found := highWater.FindStringSubmatch(string(status))
	if found == nil {
		t.Fatalf("no peak in %s", strings.TrimSpace(string(status)))
	}
	kilobytes, _ := strconv.Atoi(found[1])
	return kilobytes << 10
}
