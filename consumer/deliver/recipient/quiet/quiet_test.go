package quiet

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func at(text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return t
}

func TestUntil(t *testing.T) {
	const night, noon = "21:00-08:00 Europe/Stockholm", "12:00-13:30 Europe/Stockholm"
	for _, test := range []struct {
		hours, now, zone, country, end string // no end: not quiet
	}{
		{night, "2026-12-01T19:59:59Z", "", "", ""},
		{night, "2026-12-01T20:00:00Z", "", "", "2026-12-02T07:00:00Z"},
		{night, "2026-12-02T06:59:59Z", "", "", "2026-12-02T07:00:00Z"},
		{night, "2026-12-02T07:00:00Z", "", "", ""},
		{noon, "2026-12-01T11:00:00Z", "", "", "2026-12-01T12:30:00Z"},
		{noon, "2026-12-01T12:30:00Z", "", "", ""},
		{noon, "2026-12-01T23:30:00Z", "", "", ""},
		// The recipient's own.
		{night, "2026-12-01T19:30:00Z", "", "FI", "2026-12-02T06:00:00Z"},
		{night, "2026-12-01T19:30:00Z", "", "fi", "2026-12-02T06:00:00Z"},
		{night, "2026-12-01T19:30:00Z", "America/New_York", "FI", ""},
		{night, "2026-12-01T03:00:00Z", "America/New_York", "", "2026-12-01T13:00:00Z"},
		{night, "2026-12-01T20:30:00Z", "Mars/Olympus", "", "2026-12-02T07:00:00Z"},
		{night, "2026-12-01T20:30:00Z", "Local", "US", "2026-12-02T07:00:00Z"},
		{night, "2026-12-01T20:30:00Z", "../../etc/passwd", "", "2026-12-02T07:00:00Z"},
		{night, "2026-12-01T20:30:00Z", "America/./New_York", "", "2026-12-02T07:00:00Z"}, // of which there is no end
		{night, "2026-12-01T20:30:00Z", "America//New_York", "", "2026-12-02T07:00:00Z"},
		// Summer time begins on 2026-03-29 and ends on 2026-10-25.
		{night, "2026-03-28T22:00:00Z", "", "", "2026-03-29T06:00:00Z"},
		{night, "2026-10-24T22:00:00Z", "", "", "2026-10-25T07:00:00Z"},
		// 02:30 is not there that day
		{"22:00-02:30 Europe/Stockholm", "2026-03-28T23:00:00Z", "", "", "2026-03-29T01:30:00Z"},
		{"22:00-02:30 Europe/Stockholm", "2026-10-24T23:00:00Z", "", "", "2026-10-25T01:30:00Z"}, // which comes twice
		{"22:00-02:30 Europe/Stockholm", "2026-10-25T01:10:00Z", "", "", "2026-10-25T01:30:00Z"}, // the second 02:10
	} {
		h, err := Parse(test.hours)
		if err != nil {
			t.Fatal(err)
		}
		end, quiet := h.Until(at(test.now), test.zone, test.country)
		got := ""
		if quiet {
			got = end.UTC().Format(time.RFC3339)
		}
		if got != test.end {
			t.Errorf("%s at %s, %q %q: until %q, want %q", test.hours, test.now, test.zone, test.country, got, test.end)
		}
	}
	if _, quiet := (Hours{}).Until(time.Now(), "", ""); quiet {
		t.Error("without hours it is quiet")
	}
}

// TestTheEnd: it is later than now, within a day or so, and not quiet any more.
func TestTheEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		zone := rapid.SampledFrom([]string{"Europe/Stockholm", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe",
			"Pacific/Apia", "UTC"}).Draw(t, "zone")
		from, to := rapid.IntRange(0, 1439).Draw(t, "from"), rapid.IntRange(0, 1439).Draw(t, "to")
		if from == to {
			return
		}
		clock := func(minutes int) string {
			return time.Date(2000, 1, 1, 0, minutes, 0, 0, time.UTC).Format("15:04")
		}
		h, err := Parse(clock(from) + "-" + clock(to) + " " + zone)
		if err != nil {
			t.Fatal(err)
		}
		now := time.Unix(rapid.Int64Range(1_700_000_000, 2_000_000_000).Draw(t, "now"), 0)
		end, quiet := h.Until(now, "", "")
		if !quiet {
			return
		}
		if !end.After(now) || end.Sub(now) > 26*time.Hour {
			t.Fatalf("at %v until %v", now, end)
		}
		// Where the clock is put forward over the end, or back, it may be just
		// before it again; never for long.
		if next, still := h.Until(end, "", ""); still && next.Sub(end) > time.Hour {
			t.Fatalf("at its end, %v, it is quiet until %v", end, next)
		}
	})
}

func TestBadHours(t *testing.T) {
	for _, text := range []string{"", "night", "21:00-08:00", "21:00 - 08:00 Europe/Stockholm",
		"25:00-08:00 Europe/Stockholm", "08:00-08:00 UTC", "21:00-08:00 Mars/Olympus", "21:00-08:00 Local"} {
		if _, err := Parse(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}
