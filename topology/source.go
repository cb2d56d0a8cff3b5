package topology

import (
	"strconv"
	"strings"
)

// Source says where a record came from: "topic/partition/offset".
type Source string

// SourceOf makes a Source.
func SourceOf(t Topic, partition int, offset int64) Source {
	return Source(string(t) + "/" + strconv.Itoa(partition) + "/" + strconv.FormatInt(offset, 10))
}

// Split takes a Source apart; ok reports whether it has the form of one.
func (s Source) Split() (t Topic, partition int, offset int64, ok bool) {
	name, place, _ := strings.Cut(string(s), "/")
	middle, last, _ := strings.Cut(place, "/")
	number, err := strconv.ParseUint(middle, 10, 31)
	position, err2 := strconv.ParseUint(last, 10, 63)
	if name == "" || err != nil || err2 != nil {
		return "", 0, 0, false
	}
	return Topic(name), int(number), int64(position), true
}

// PositionID is the id of an event that came without a valid one of its own:
// "<lane>-<partition>-<offset>", which its producer can work out from the
// broker's acknowledgement.
func PositionID(lane Lane, partition int, offset int64) EventID {
	return EventID(string(lane) + "-" + strconv.Itoa(partition) + "-" + strconv.FormatInt(offset, 10))
}
