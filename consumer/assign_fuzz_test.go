package consumer

import "testing"

// FuzzMembership: whatever other members of a group say, and its leader gives, is read without a crash; who leads
// gives each partition there is to one member at most.
func FuzzMembership(f *testing.F) {
	of := partitionsOf{"events": {0, 1}, "log": {-1, 1 << 30}}
	saying, err := (&said{Topics: []string{"events", "log", "log"}, Owned: of, Since: 3}).encode()
	if err != nil {
		f.Fatal(err)
	}
	given, err := encodeAll(map[string]partitionsOf{"a": of})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(saying, given["a"])
	f.Add([]byte(nil), []byte(nil))
	f.Fuzz(func(t *testing.T, saying, given []byte) {
		_, _ = decodeAssigned(given)
		one, _ := decodeSaid(saying)
		members := map[string]*said{"a": one, "b": {Topics: []string{"events"}}}
		counts := map[string]int{"events": 3, "log": 2}
		for topic, n := range one.Counts {
			counts[topic] = max(counts[topic], n)
		}
		taken := map[string]map[int]bool{}
		for _, partitions := range assign(members, counts) {
			for topic, numbers := range partitions {
				for _, n := range numbers {
					if n < 0 || n >= counts[topic] || taken[topic][n] {
						t.Fatalf("%s/%d is given twice, or is not there", topic, n)
					}
					if taken[topic] == nil {
						taken[topic] = map[int]bool{}
					}
					taken[topic][n] = true
				}
			}
		}
	})
}
