package wire_test

import (
	"encoding/base64"
	"slices"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/meddela/meddela/topology"
	"github.com/meddela/meddela/topology/wire"
)

// TestFetchOfVersions: brokers that know of no ids, or not in fetches, are asked by names.
func TestFetchOfVersions(t *testing.T) {
	for _, test := range []struct {
		name     string
		versions *kversion.Versions
		ids      bool
		unknown  bool // the id, as it was asked of another broker
	}{
		{"11", kversion.V2_3_0(), false, false}, {"12", kversion.V2_7_0(), false, false},
		{"13", kversion.V3_1_0(), true, false}, {"13 by name", kversion.V3_1_0(), true, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, "a", "b"),
				kfake.MaxVersions(test.versions))
			if err != nil {
				t.Fatal(err)
			}
			defer cluster.Close()
			writer, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...),
				kgo.RecordPartitioner(kgo.ManualPartitioner()))
			if err != nil {
				t.Fatal(err)
			}
			defer writer.Close()
			for _, r := range []*kgo.Record{{Topic: "a", Partition: 1}, {Topic: "b"}, {Topic: "b", Partition: 1}} {
				r.Value = []byte(r.Topic)
				if err := writer.ProduceSync(t.Context(), r).FirstErr(); err != nil {
					t.Fatal(err)
				}
			}
			transport, addr := new(kafka.Transport), kafka.TCP(cluster.ListenAddrs()...)
			defer transport.CloseIdleConnections()
			request := wire.NewFetch(0, time.Second, 1, 1<<20)
			for _, topic := range []string{"a", "b"} {
				id, err := wire.TopicID(t.Context(), addr, transport, topology.Topic(topic))
				if of := cluster.TopicInfo(topic).TopicID; err != nil || test.ids != (id != "") ||
					test.ids && id != base64.RawURLEncoding.EncodeToString(of[:]) {
					t.Errorf("topic %s has id %q, %v", topic, id, err)
				}
				if test.unknown && topic == "b" {
					id = ""
				}
				request.Add(topology.Topic(topic), id, 0, 0, 1<<20)
				request.Add(topology.Topic(topic), id, 1, 0, 1<<20)
			}
			topics, _, err := request.Send(t.Context(), transport, addr)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, of := range topics {
				for _, p := range of.Partitions {
					if p.ErrorCode != 0 {
						t.Errorf("%s/%d: error %d", of.Topic, p.Partition, p.ErrorCode)
					}
					if len(p.RecordSet.Bytes) > 0 {
						got = append(got, of.Topic+string('0'+p.Partition))
					}
				}
			}
			slices.Sort(got)
			if want := []string{"a1", "b0", "b1"}; !slices.Equal(got, want) {
				t.Errorf("records of %v, want %v", got, want)
			}
		})
	}
}
