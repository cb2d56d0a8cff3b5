package consumer

import (
	"cmp"
	"encoding/json"
	"errors"
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
			held[topic] = make([]string, counts[topic])
			for _, id := range readers[topic] {
				for _, n := range members[id].Owned[topic] {
					if n >= 0 && n < counts[topic] {
						hold(holders, n, id)
						hold(held[topic], n, id)
					}
				}
			}
		}
		owners := shareOut(readers[topics[0]], holders)
		for topic, by := range held {
			for n, id := range owners[:len(by)] {
				if id != "" && (by[n] == "" || by[n] == id) {
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

// mostPartitions is how many partitions of all its topics a member is believed.
const mostPartitions = 1 << 14

// decodeSaid reads what encode, or an earlier version, has made. What it cannot read is
// as if it had not been said.
func decodeSaid(metadata []byte) (*said, error) {
	of, s, all := told{left: metadata}, new(said), 0
	of.number(2) // the version
	for range of.count(2) {
		s.Topics = append(s.Topics, of.text())
	}
	if more := of.take(of.number(4)); len(more) > 0 && !of.short && json.Unmarshal(more, s) != nil {
		s = &said{Topics: s.Topics}
	}
	for _, n := range s.Counts {
		if all += min(max(n, 0), mostPartitions+1); all > mostPartitions {
			return new(said), fmt.Errorf("it counts more than %d partitions", mostPartitions)
		}
	}
	if of.short {
		return new(said), errShort
	}
	return s, nil
}

var errShort = errors.New("it ends in the middle")

// told takes apart what another client has chosen. No number in it makes it take more than
// there is, as the client's own decoder does.
type told struct {
	left  []byte
	short bool
}

// take takes so many bytes; none of a negative length, which stands for null.
func (t *told) take(n int) []byte {
	if t.short = t.short || n > len(t.left); t.short || n < 0 {
		return nil
	}
	taken := t.left[:n]
	t.left = t.left[n:]
	return taken
}

// number takes a number of so many bytes; 0 if they are not there.
func (t *told) number(bytes int) (n int) {
	for i, b := range t.take(bytes) {
		if n = n<<8 | int(b); i == 0 {
			n = int(int8(b))
		}
	}
	return n
}

// count takes the number of an array's elements, each of so many bytes at least.
func (t *told) count(least int) int {
	n := t.number(4)
	t.short = t.short || n > len(t.left)/least
	if t.short {
		return 0
	}
	return max(n, 0)
}

func (t *told) text() string { return string(t.take(t.number(2))) }

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
	assigned, of := make(partitionsOf), told{left: b}
	if len(b) == 0 {
		return assigned, nil
	}
	of.number(2) // the version
	for range of.count(6) {
		topic := of.text()
		for range of.count(4) {
			assigned[topic] = append(assigned[topic], of.number(4))
		}
	}
	if of.short {
		return nil, fmt.Errorf("assignment of the group's leader: %w", errShort)
	}
	return assigned, nil
}
