package topology

import (
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func merged(a, b State) State {
	a.Merge(&b)
	return a
}

func TestMergeIsASemilattice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := genState().Draw(t, "a"), genState().Draw(t, "b"), genState().Draw(t, "c")
		if ab, ba := merged(a, b), merged(b, a); ab != ba {
			t.Fatalf("not commutative:\n%+v\n%+v", ab, ba)
		}
		if left, right := merged(merged(a, b), c), merged(a, merged(b, c)); left != right {
			t.Fatalf("not associative:\n%+v\n%+v", left, right)
		}
		if twice := merged(a, a); twice != a {
			t.Fatalf("not idempotent:\n%+v\n%+v", twice, a)
		}
		if ab := merged(a, b); merged(ab, b) != ab || merged(ab, a) != ab {
			t.Fatalf("merging again changed %+v", ab)
		}
		if none := merged(State{EventID: "e"}, a); none != a {
			t.Fatalf("the empty state is not neutral:\n%+v\n%+v", none, a)
		}
	})
}

// TestFoldOfAnyOrder: whatever the order, and however often each entry is
// read, also in groups, the state is the same.
func TestFoldOfAnyOrder(t *testing.T) {
	fold := func(entries []Entry) State {
		state := State{EventID: "e"}
		for i := range entries {
			s := StateOf(&entries[i])
			state.Merge(&s)
		}
		return state
	}
	rapid.Check(t, func(t *rapid.T) {
		entries := rapid.SliceOfN(genRival(), 1, 8).Draw(t, "entries")
		want := fold(entries)
		repeated := append(append([]Entry{}, entries...), rapid.SliceOf(rapid.SampledFrom(entries)).Draw(t, "again")...)
		shuffled := rapid.Permutation(repeated).Draw(t, "order")
		if got := fold(shuffled); got != want {
			t.Fatalf("got\n%+v, want\n%+v", got, want)
		}
		cut := rapid.IntRange(0, len(shuffled)).Draw(t, "cut")
		if got := merged(fold(shuffled[cut:]), fold(shuffled[:cut])); got != want {
			t.Fatalf("in groups: got\n%+v, want\n%+v", got, want)
		}
	})
}

// TestIdentity: the least source brings it, and where that is one, each name
// that any entry gives.
func TestIdentity(t *testing.T) {
	state := State{EventID: "e"}
	for _, test := range []struct{ entry, want Entry }{
		{Entry{Type: "z"}, Entry{Type: "z"}},
		{Entry{Source: "t/0/2", Lane: Realtime}, Entry{Source: "t/0/2", Lane: Realtime}},
		{Entry{Type: "z", Channel: SMS}, Entry{Source: "t/0/2", Lane: Realtime}},
		{Entry{Source: "t/0/2", Type: "a"}, Entry{Source: "t/0/2", Lane: Realtime, Type: "a"}},
		{Entry{Source: "t/0/3", Type: "z"}, Entry{Source: "t/0/2", Lane: Realtime, Type: "a"}},
		{Entry{Source: "t/0/1", Channel: Email}, Entry{Source: "t/0/1", Channel: Email}},
	} {
		s := StateOf(&test.entry)
		state.Merge(&s)
		got := Entry{Source: state.Source, Lane: state.Lane, Type: state.Type, Channel: state.Channel}
		if got != test.want {
			t.Errorf("after %+v: %+v, want %+v", test.entry, got, test.want)
		}
	}
}

// TestRankOrder: redrives, then attempt, then the status, then the time
// decide, whatever comes after.
func TestRankOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := genRival().Draw(t, "a"), genRival().Draw(t, "b")
		a.Redrives = rapid.IntRange(0, MaxRedrives).Draw(t, "redrives a")
		a.Attempt = rapid.IntRange(0, MaxAttempt).Draw(t, "attempt a")
		if rapid.Bool().Draw(t, "same redrives") {
			b.Redrives = a.Redrives
		}
		if rapid.Bool().Draw(t, "same attempt") {
			b.Attempt = a.Attempt
		}
		want := compareAll(
			a.Redrives-b.Redrives, a.Attempt-b.Attempt, a.Status.rank()-b.Status.rank(),
			rankTime(a.At).Compare(rankTime(b.At)),
		)
		got := compareAll(len(rankOf(&a))-len(rankOf(&b)), compareText(rankOf(&a), rankOf(&b)))
		if want != 0 && got != want {
			t.Fatalf("%s against %s is %d, want %d", rankOf(&a), rankOf(&b), got, want)
		}
	})
}

// compareAll is the sign of the first that is not zero.
func compareAll(differences ...int) int {
	for _, d := range differences {
		if d != 0 {
			return max(-1, min(d, 1))
		}
	}
	return 0
}

func compareText(a, b Rank) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// TestStatusOrder: within an attempt, each status gives way to the later ones
// of the list.
func TestStatusOrder(t *testing.T) {
	for i, low := range Statuses() {
		for _, high := range Statuses()[i+1:] {
			early := Entry{EventID: "e", Attempt: 1, Status: high, At: aTime}
			late := Entry{EventID: "e", Attempt: 1, Status: low, At: aTime.Add(time.Hour)}
			a, b := StateOf(&early), StateOf(&late)
			if got := merged(a, b).Status; got != high {
				t.Errorf("%s and %s make %s", low, high, got)
			}
		}
	}
}

// TestStories are courses of events, each with the status that it ends in.
func TestStories(t *testing.T) {
	entry := func(redrives, attempt int, s Status, r Reason) Entry {
		return Entry{EventID: "e", Redrives: redrives, Attempt: attempt, Status: s, Reason: r, At: aTime}
	}
	for _, test := range []struct {
		name    string
		entries []Entry
		status  Status
		reason  Reason
	}{
		{"delivered", []Entry{entry(0, 0, Pending, ""), entry(0, 1, PendingDelivery, ""), entry(0, 1, Sent, "")}, Sent, ""},
		{"a late bounce", []Entry{entry(0, 1, Sent, ""), entry(0, 1, DeliveryError, ReasonProviderRejected)}, DeliveryError,
			ReasonProviderRejected},
		{"a retry that succeeds", []Entry{entry(0, 1, PendingDelivery, ReasonTransient), entry(0, 2, Sent, "")}, Sent, ""},
		{"a retry after an error", []Entry{entry(0, 1, DeliveryError, ReasonAmbiguous), entry(0, 2, PendingDelivery, "")},
			PendingDelivery, ""},
		{"a redrive", []Entry{entry(0, 3, DeliveryError, ReasonRetriesExhausted), entry(1, 1, PendingDelivery, "")},
			PendingDelivery, ""},
		{"read again when no template covers it any more", []Entry{entry(0, 1, Sent, ""),
			entry(0, 0, NotCovered, ReasonNoTemplateForType)}, Sent, ""},
	} {
		state := State{EventID: "e"}
		for i := range test.entries {
			s := StateOf(&test.entries[i])
			state.Merge(&s)
		}
		if state.Status != test.status || state.Reason != test.reason {
			t.Errorf("%s: %s %q, want %s %q", test.name, state.Status, state.Reason, test.status, test.reason)
		}
		if final := !state.FinalAt().IsZero(); final != state.Status.Final() {
			t.Errorf("%s: FinalAt is %v", test.name, state.FinalAt())
		}
	}
}

// TestRankBounds: what a Rank has no room for counts as its nearest, and keeps
// its width.
func TestRankBounds(t *testing.T) {
	most := Entry{Redrives: MaxRedrives, Attempt: MaxAttempt, Status: DeliveryError, At: time.UnixMilli(maxMillis)}
	beyond := Entry{Redrives: MaxRedrives + 1, Attempt: MaxAttempt + 1, Status: DeliveryError,
		At: time.UnixMilli(maxMillis + 1)}
	least := Entry{Status: Pending, At: time.UnixMilli(1)}
	below := Entry{Redrives: -1, Attempt: -1, Status: "no status", At: time.Time{}}
	if rankOf(&most) != rankOf(&beyond) {
		t.Errorf("%s and %s differ", rankOf(&most), rankOf(&beyond))
	}
	if rankOf(&least) != rankOf(&below) {
		t.Errorf("%s and %s differ", rankOf(&least), rankOf(&below))
	}
	for n, want := range map[int64]string{-5: "0000", 0: "0000", 9: "0009", 10: "0010", 999: "0999", 9999: "9999",
		10000: "9999"} {
		if got := string(appendPadded(nil, n, MaxAttempt)); got != want {
			t.Errorf("%d becomes %s, want %s", n, got, want)
		}
	}
}

// TestDigestKeepsFieldsApart: entries that differ only in where a text stands
// do not count as the same.
func TestDigestKeepsFieldsApart(t *testing.T) {
	long := string(make([]byte, 300))
	seen := map[Rank]string{}
	for name, e := range map[string]Entry{
		"none":       {},
		"reason":     {Reason: "ab"},
		"detail":     {Detail: "ab"},
		"split":      {Reason: "a", Detail: "b"},
		"provider":   {Provider: "ab"},
		"message id": {ProviderMessageID: "ab"},
		"template":   {Template: "ab"},
		"long":       {Detail: long},
		"long split": {Detail: long[:44], Template: TemplateRef(long[:256])},
	} {
		if other, ok := seen[rankOf(&e)]; ok {
			t.Errorf("%s and %s have the same rank", name, other)
		}
		seen[rankOf(&e)] = name
	}
}

// hashOf is the state as the status updater writes it to Redis.
func hashOf(s *State) map[string]string {
	millis := func(at time.Time) string {
		if at.IsZero() {
			return ""
		}
		return strconv.FormatInt(at.UnixMilli(), 10)
	}
	return map[string]string{
		FieldStatus: string(s.Status), FieldReason: string(s.Reason), FieldDetail: s.Detail, FieldLane: string(s.Lane),
		FieldType: s.Type, FieldChannel: string(s.Channel), FieldTemplate: string(s.Template),
		FieldRedrives: strconv.Itoa(s.Redrives), FieldAttempt: strconv.Itoa(s.Attempt),
		FieldProvider: s.Provider, FieldProviderMessageID: s.ProviderMessageID, FieldSource: string(s.Source),
		FieldPendingAt: millis(s.PendingAt), FieldPendingDeliveryAt: millis(s.PendingDeliveryAt),
		FieldFinalAt: millis(s.FinalAt()), FieldUpdatedAt: millis(s.UpdatedAt), FieldScheduledAt: millis(s.Scheduled),
		FieldRank: string(s.Rank),
	}
}

func TestParseStateRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := genState().Draw(t, "state")
		got, ok, err := ParseState("e", hashOf(&want))
		if err != nil || !ok || got != want {
			t.Fatalf("got\n%+v, %v, %v; want\n%+v", got, ok, err, want)
		}
	})
}

func TestParseStateFaults(t *testing.T) {
	if _, ok, err := ParseState("e", nil); ok || err != nil {
		t.Errorf("no hash: %v, %v", ok, err)
	}
	for field, value := range map[string]string{
		FieldStatus: "delivered", FieldRedrives: "one", FieldAttempt: "1.5", FieldUpdatedAt: "now",
		FieldPendingAt: "99999999999999999999", FieldPendingDeliveryAt: " 1", FieldScheduledAt: "0x10",
	} {
		e := anEntry()
		state := StateOf(&e)
		hash := hashOf(&state)
		hash[field] = value
		if _, ok, err := ParseState("e", hash); !ok || err == nil {
			t.Errorf("%s %q: %v, %v; want an error about an event that is there", field, value, ok, err)
		}
	}
}
