package scan_test

import (
	"slices"
	"testing"

	"github.com/meddela/meddela/consumer/scan"
)

func TestLatest(t *testing.T) {
	spans := func(offsets ...int64) (ranges []scan.Range) {
		for i := 0; i < len(offsets); i += 2 {
			ranges = append(ranges, scan.Range{Partition: i / 2, From: offsets[i], To: offsets[i+1]})
		}
		return ranges
	}
	for _, test := range []struct {
		ranges []scan.Range
		n      int64
		want   []scan.Range
	}{
		{spans(0, 100, 0, 300), 40, spans(90, 100, 270, 300)},
		{spans(0, 100, 0, 300), 400, spans(0, 100, 0, 300)},
		{spans(0, 100, 0, 300), 1000, spans(0, 100, 0, 300)},
		{spans(0, 1, 50, 1050), 100, spans(0, 1, 951, 1050)},
		{spans(), 10, spans()},
	} {
		if got := scan.Latest(test.ranges, test.n); !slices.Equal(got, test.want) {
			t.Errorf("latest %d of %v: %v, want %v", test.n, test.ranges, got, test.want)
		}
	}
}
