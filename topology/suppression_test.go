package topology

import (
	"testing"
	"time"
)

const aHash = "339ddf2e8137246f604b58d371b67a01"

// TestSuppressionKeys: a record is about an address, or about none, by its key; what its
// value is does not matter for that.
func TestSuppressionKeys(t *testing.T) {
	for key, want := range map[string]bool{
		"email:" + aHash + ":bounced": true, "sms:" + aHash + ":manual": true, "push:" + aHash + ":complaint": true,
		"": false, "email": false, "email:" + aHash: false, "email:" + aHash + ":": false,
		"email:" + aHash + ":dislike": false, "fax:" + aHash + ":manual": false,
		"email:" + aHash[1:] + ":manual": false, "email:" + aHash[1:] + "Z:manual": false,
		"email:" + aHash + ":manual:x": false, "pepper:" + aHash + ":X": false,
	} {
		for _, value := range []string{"{}", "yes", ""} {
			s, known, err := DecodeSuppression(&Record{Key: []byte(key), Value: []byte(value)})
			if known != want || (err == nil) != (want && value == "{}") || known && s.Key() != key {
				t.Errorf("%s with %q: %+v, %v, %v", key, value, s, known, err)
			}
		}
	}
	if b := AddressHash(aHash).Bucket(); b != 0x33%SuppressionBuckets {
		t.Errorf("its bucket is %d", b)
	}
}

func TestSuppressionHead(t *testing.T) {
	if pepper, ok := PepperOf(SuppressionHead(aHash, "ID")); !ok || pepper != aHash {
		t.Errorf("%s, %v", pepper, ok)
	}
	for _, key := range []string{
		"", "pepper:x:ID", "pepper:" + aHash + ":", "pepper:" + aHash + ":a b", "email:" + aHash + ":manual",
	} {
		if _, ok := PepperOf(key); ok {
			t.Errorf("%q is of a topic's first record", key)
		}
	}
}

func TestSuppressionEnds(t *testing.T) {
	always, soon, late := Suppression{}, Suppression{Until: aTime}, Suppression{Until: aTime.Add(time.Hour)}
	for _, test := range []struct {
		a, b *Suppression
		want bool
	}{{&always, &always, true}, {&always, &late, true}, {&late, &always, false}, {&late, &soon, true},
		{&soon, &late, false}, {&soon, &soon, true}} {
		if got := test.a.Outlasts(test.b); got != test.want {
			t.Errorf("%v outlasts %v: %v", test.a.Until, test.b.Until, got)
		}
	}
	if always.Over(aTime) || soon.Over(aTime.Add(-1)) || !soon.Over(aTime) {
		t.Error("it ends when it should not")
	}
}
