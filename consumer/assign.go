package consumer

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/segmentio/kafka-go/protocol"
	subscription "github.com/segmentio/kafka-go/protocol/consumer"
)

// partitionsOf are numbers of partitions, by topic.
type partitionsOf map[string][]int

// said is what a member says when it joins its group. The group is shared out anew
// when a member says something else than before.
type said struct {
	Topics []string `json:"-"`
	// Owned are the partitions that it works on, and Since the generation in which it
	// last was given some.
	Owned partitionsOf `json:"owned,omitempty"`
	Since int32        `json:"since"`
	// Counts are how many partitions there are.
	Counts map[string]int `json:"counts,omitempty"`
}

// assign shares partitions out so that each member has as many as any other, or one
// more, and as few as possible move. What moves is nobody's as long as another says that
// it works on it: that member is to give it up first, and to join again. Partitions of
// one number belong together, over all topics that the same members read.
func assign(members map[string]*said, counts map[string]int) map[string]partitionsOf {
	readers, made := make(map[string][]string), make(map[string]partitionsOf)
	for _, id := range slices.Sorted(maps.Keys(members)) {
		made[id] = make(partitionsOf)
		for _, topic := range members[id].Topics {
			if !slices.Contains(readers[topic], id) {
				readers[topic] = append(readers[topic], id)
			}
		}
	}
	alike := make(map[string][]string) // topics, by their readers
	for topic, of := range readers {
		key := strings.Join(of, "\n")
		alike[key] = append(alike[key], topic)
	}
	for _, topics := range alike {
		most := 0
		for _, topic := range topics {
			most = max(most, counts[topic])
		}
		holders := make([]string, most)
		held := make(map[string][]string) // the same, by topic
		hold := func(holders []string, n int, id string) {
			if holders[n] == "" || members[id].Since > members[holders[n]].Since {
				holders[n] = id
			}
		}
		for _, topic := range topics {
			held[topic] = make([]string, most)
			for _, id := range readers[topic] {
				for _, n := range members[id].Owned[topic] {
					if n >= 0 && n < most {
						hold(holders, n, id)
						hold(held[topic], n, id)
					}
				}
			}
		}
		for n, id := range shareOut(readers[topics[0]], holders) {
			for _, topic := range topics {
				if by := held[topic][n]; id != "" && n < counts[topic] && (by == "" || by == id) {
					made[id][topic] = append(made[id][topic], n)
				}
			}
		}
	}
	return made
}

// shareOut returns who is to have each number, or nobody yet, of those held by some.
func shareOut(members, holders []string) []string {
	least, more := len(holders)/len(members), len(holders)%len(members) // how many may have one more than the least
	has := make(map[string]int)
	take := func(id string) bool {
		switch {
		case has[id] < least:
		case has[id] == least && more > 0:
			more--
		default:
			return false
		}
		has[id]++
		return true
	}
	owners := make([]string, len(holders))
	for n, id := range holders {
		if id != "" && take(id) {
			owners[n] = id
		}
	}
	for n := range owners {
		if owners[n] == "" {
			to := slices.MinFunc(members, func(a, b string) int { return cmp.Compare(has[a], has[b]) })
			if take(to); holders[n] == "" {
				owners[n] = to
			}
		}
	}
	return owners
}

// encode is what the coordinator is given, in the form of Kafka's own clients, which
// its tools can read.
func (s *said) encode() ([]byte, error) {
	more, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	return protocol.Marshal(0, subscription.Subscription{Topics: s.Topics, UserData: more})
}

// decodeSaid reads what encode, or an earlier version, has made. What it cannot read is
// as if it had not been said.
func decodeSaid(metadata []byte) *said {
	var of subscription.Subscription
	if err := protocol.Unmarshal(metadata, 0, &of); err != nil {
		return new(said)
	}
	s := new(said)
	if len(of.UserData) > 0 && json.Unmarshal(of.UserData, s) != nil {
		s = new(said)
	}
	s.Topics = of.Topics
	return s
}

// encodeAll makes what the coordinator gives each member.
func encodeAll(made map[string]partitionsOf) (map[string][]byte, error) {
	encoded := make(map[string][]byte, len(made))
	for id, partitions := range made {
		var of subscription.Assignment
		for topic, numbers := range partitions {
			one := subscription.TopicPartition{Topic: topic}
			for _, n := range numbers {
				one.Partitions = append(one.Partitions, int32(n))
			}
			of.AssignedPartitions = append(of.AssignedPartitions, one)
		}
		b, err := protocol.Marshal(0, of)
		if err != nil {
			return nil, err
		}
		encoded[id] = b
	}
	return encoded, nil
}

// decodeAssigned reads what a member is given; nothing is no partitions.
func decodeAssigned(b []byte) (partitionsOf, error) {
	var of subscription.Assignment
	if len(b) > 0 {
		if err := protocol.Unmarshal(b, 0, &of); err != nil {
			return nil, fmt.Errorf("assignment of the group's leader: %w", err)
		}
	}
	assigned := make(partitionsOf)
	for _, one := range of.AssignedPartitions {
		for _, n := range one.Partitions {
			assigned[one.Topic] = append(assigned[one.Topic], int(n))
		}
	}
	return assigned, nil
}
