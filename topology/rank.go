package topology

import (
	"strconv"
	"time"
)

// Rank orders the entries of one event: the greater string wins. It is
// the number of redrives, attempt, rank of the status, time, and a digest of the rest, so
// that two entries of equal rank say the same. It has digits and dots only,
// because Lua in Redis compares by the locale of the server, and locales agree
// on no more than that.
type Rank string

// The highest that a Rank has room for; what is higher counts as these.
const (
	MaxRedrives = 999_999
	MaxAttempt  = 9_999
	maxMillis   = 9_999_999_999_999 // of the time, in Unix milliseconds
	maxDigest   = 9_999_999_999_999_999
)

func rankOf(e *Entry) Rank {
	b := make([]byte, 0, 48)
	b = appendPadded(b, int64(e.Redrives), MaxRedrives)
	b = append(b, '.')
	b = appendPadded(b, int64(e.Attempt), MaxAttempt)
	b = append(b, '.')
	b = appendPadded(b, int64(e.Status.rank()), 9)
	b = append(b, '.')
	b = appendPadded(b, rankTime(e.At).UnixMilli(), maxMillis)
	b = append(b, '.')
	return Rank(appendDigest(b, e))
}

// rankTime is t as a Rank can hold it: in milliseconds, and neither before
// 1970 nor after 2286.
func rankTime(t time.Time) time.Time {
	return time.UnixMilli(min(max(t.UnixMilli(), 1), maxMillis)).UTC()
}

// appendPadded appends n, or the nearest number from 0 to limit, in as many
// digits as limit has, so that the order of texts is that of numbers.
func appendPadded(b []byte, n, limit int64) []byte {
	n = min(max(n, 0), limit)
	for rest := limit / 10; rest >= max(n, 1); rest /= 10 {
		b = append(b, '0')
	}
	return strconv.AppendInt(b, n, 10)
}

// appendDigest appends 16 digits over the fields that the winner brings:
// FNV-1a, in which each field's length stands before it, so that no two sets
// of fields run together.
func appendDigest(b []byte, e *Entry) []byte {
	const offset, prime = 14695981039346656037, 1099511628211
	sum := uint64(offset)
	for _, field := range [...]string{
		string(e.Reason), e.Detail, string(e.Template), e.Provider, e.ProviderMessageID,
	} {
		for shift := 0; shift < 32; shift += 8 {
			sum = (sum ^ uint64(len(field)>>shift&0xff)) * prime
		}
		for i := 0; i < len(field); i++ {
			sum = (sum ^ uint64(field[i])) * prime
		}
	}
	return appendPadded(b, int64(sum%(maxDigest+1)), maxDigest)
}
