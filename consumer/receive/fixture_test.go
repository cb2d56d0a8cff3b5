package receive

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/rs/zerolog"

	"github.com/meddela/meddela/consumer/deliver/recipient/suppress"
	"github.com/meddela/meddela/consumer/outbound"
	"github.com/meddela/meddela/consumer/receipt"
	"github.com/meddela/meddela/topology"
)

const (
	pepper  = "0123456789abcdef0123456789abcdef"
	eventID = topology.EventID("0b9fbb4e-6b6d-4d52-9d7e-0a8f4f7f9c11")
	kim     = "kim@example.net"
	phone   = "+358401234567"
)

// site is a Receiver among servers that remember, and can be away.
type site struct {
	*Receiver
	mu         sync.Mutex
	away       error
	state      topology.State
	partition  int
	entries    []topology.Entry
	topics     []topology.Topic
	suppressed []string
	log        bytes.Buffer
}

func newSite(t *testing.T, sources ...Source) *site {
	t.Helper()
	s := &site{partition: -1, state: topology.State{
		Type: "order_confirmation", Channel: topology.Email, Template: "order@1", Provider: "ses", ProviderMessageID: "m-1",
		Status: topology.Sent, Attempt: 2, Redrives: 1, Source: topology.SourceOf("meddela.batch.events", 7, 1),
	}}
	var err error
	s.Receiver, err = New(Config{
		Names: topology.Topics{Prefix: "meddela."}, Key: receipt.NewKey(pepper), Sources: sources, Log: zerolog.New(&s.log),
		States: func(_ context.Context, ids []topology.EventID) ([]topology.State, error) {
			states := make([]topology.State, len(ids))
			for i, id := range ids {
				if id == eventID {
					states[i] = s.state
				}
			}
			return states, s.away
		},
		Publish: func(_ context.Context, partition int, records []topology.Record) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			for i := range records {
				entry, err := topology.DecodeEntry(records[i].Value)
				if err != nil {
					t.Error(err)
				}
				s.entries, s.topics, s.partition = append(s.entries, entry), append(s.topics, records[i].Topic), partition
			}
			return s.away
		},
		Hash: hashOf,
		Suppress: func(_ context.Context, channel topology.Channel, hashes []topology.AddressHash,
			cause topology.Cause) error {
			addresses := make([]string, len(hashes))
			for i, hash := range hashes {
				for _, address := range []string{kim, "robin@example.net", "eli@example.net", phone} {
					if hashOf(channel, address) == hash {
						addresses[i] = address
					}
				}
			}
			s.suppressed = append(s.suppressed, string(channel)+" "+strings.Join(addresses, ",")+" "+string(cause))
			return s.away
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var errAway = errors.New("the server is away")

func hashOf(_ topology.Channel, address string) topology.AddressHash {
	if address == "" {
		return ""
	}
	return suppress.NewHasher(pepper).Hash(strings.ToLower(address))
}

// refTo is the reference of a message to an address.
func refTo(address string) string { return refOf(topology.Email, eventID, address) }

func refOf(channel topology.Channel, id topology.EventID, address string) string {
	job := topology.Job{EventID: id, Channel: channel, Lane: topology.Batch, Redrives: 1, Attempt: 2}
	return receipt.NewKey(pepper).Seal(&job, hashOf(channel, address))
}

func token(secret string) Verify { return Verify{Scheme: Token, Secret: outbound.Fixed(secret)} }
