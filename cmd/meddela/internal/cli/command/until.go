package command

import (
	"time"

	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/consumer/deliver/recipient/suppress"
)

// EndOf reads --until and --for, at most one of which is given.
func EndOf(until string, length time.Duration, now time.Time) (time.Time, error) {
	switch {
	case until != "" && length != 0:
		return time.Time{}, Misusef("--until and --for are both given: use one of them")
	case length < 0:
		return time.Time{}, Misusef("--for is %s: it must be a length of time such as 2h", length)
	case length > 0:
		return now.Add(length).UTC(), nil
	case until == "":
		return time.Time{}, nil
	}
	end, err := suppress.ParseTime(until)
	if err != nil {
		return time.Time{}, Misusef("--until is %q: %v", wording.Abridged(until), err)
	}
	if !now.Before(end) {
		return time.Time{}, Misusef("--until is %s: that is past", until)
	}
	return end, nil
}

// UntilText is the end of something, for people.
func UntilText(until time.Time) string {
	if until.IsZero() {
		return "-"
	}
	return until.Local().Format(time.DateTime)
}
