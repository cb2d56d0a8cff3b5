package topology

import "strconv"

// PositionID is the id of an event that came without a valid one of its own:
// "<lane>-<partition>-<offset>", which its producer can work out from the
// broker's acknowledgement.
func PositionID(lane Lane, partition int, offset int64) EventID {
	b := make([]byte, 0, len(lane)+24)
	b = append(b, lane...)
	b = append(b, '-')
	b = strconv.AppendInt(b, int64(partition), 10)
	b = append(b, '-')
	b = strconv.AppendInt(b, offset, 10)
	return EventID(b)
}
