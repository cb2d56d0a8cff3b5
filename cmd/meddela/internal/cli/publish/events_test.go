package publish

import (
	"encoding/json"
	"testing"

	"github.com/oklog/ulid/v2"

	"github.com/meddela/meddela/topology"
)

func TestWithID(t *testing.T) {
	tests := []struct {
		name, event string
		added       bool
	}{
		{"without", `{"type":"x","ctx":{}}`, true},
		{"blanks", `{  "type":"x", "ctx":{"id":"inner"}}`, true},
		{"a byte order mark", "\ufeff{\"type\":\"x\",\"ctx\":{}}", true},
		{"encoded twice", `"\n{\"type\":\"x\",\"ctx\":{}}"`, true},
		{"with", `{"type":"x","ctx":{},"id":"mine"}`, false},
		{"with an impossible one", `{"id":"a b","type":"x","ctx":{}}`, false},
		{"no event", `{}`, false},
		{"no object", `[1]`, false},
		{"no JSON", `{"type":"x","ctx":{}`, false},
		{"nothing", ``, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := withID(topology.Record{Value: []byte(test.event)}, topology.Batch)
			if !test.added {
				if string(got) != test.event {
					t.Errorf("became %s", got)
				}
				return
			}
			event, err := topology.DecodeEvent(topology.Record{Value: got}, topology.Batch)
			if err != nil {
				t.Fatalf("%s: %v", got, err)
			}
			if _, err := ulid.ParseStrict(string(event.ID)); err != nil {
				t.Errorf("id %q: %v", event.ID, err)
			}
		})
	}
}

// Whatever comes in, what comes out is the same, or the same with an id.
func FuzzWithID(f *testing.F) {
	f.Add([]byte(`{"type":"x","ctx":{}}`))
	f.Add([]byte(`{"type":"x","ctx":{},"id":null}`))
	f.Add([]byte(`{"\u0069d":"mine","type":"x","ctx":{}}`))
	f.Fuzz(func(t *testing.T, event []byte) {
		got := withID(topology.Record{Value: event}, topology.Batch)
		if string(got) == string(event) {
			return
		}
		var before, after map[string]json.RawMessage
		read, _ := topology.DecodeEvent(topology.Record{Value: event}, topology.Batch)
		if err := json.Unmarshal(read.Raw, &before); err != nil {
			t.Fatalf("%q was given an id: %v", event, err)
		}
		if err := json.Unmarshal(got, &after); err != nil {
			t.Fatalf("%q became %q: %v", event, got, err)
		}
		if _, had := before["id"]; had || len(after) != len(before)+1 {
			t.Errorf("%q became %q", event, got)
		}
	})
}
