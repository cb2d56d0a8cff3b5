package publish

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/meddela/meddela/producer"
	"github.com/meddela/meddela/topology"
)

// receiptView is a receipt as --output json shows it.
type receiptView struct {
	Line      int              `json:"line"`
	ID        topology.EventID `json:"id,omitempty"`
	Partition *int             `json:"partition,omitempty"`
	Offset    *int64           `json:"offset,omitempty"`
	Reason    topology.Reason  `json:"reason,omitempty"`
	Error     string           `json:"error,omitempty"`
}

// maxToldFaults is how many faults are told one by one to a person.
const maxToldFaults = 20

// tell counts a line, and says what became of it.
func (p *publication) tell(number int, r producer.Receipt) {
	view := receiptView{Line: number, ID: r.ID}
	var fault *topology.Fault
	switch {
	case r.Err == nil:
		p.published++
		view.Partition, view.Offset = &r.Partition, &r.Offset
	case errors.As(r.Err, &fault):
		p.failed++
		view.ID, view.Reason, view.Error = "", fault.Reason, r.Err.Error()
	default:
		p.failed++
		view.Error = r.Err.Error()
	}
	switch {
	case p.json:
		// What cannot be written shows when the buffer is flushed.
		_ = json.NewEncoder(p.out).Encode(view)
	case r.Err != nil && p.failed <= maxToldFaults:
		p.progress.Clear()
		reason := ""
		if view.Reason != "" {
			reason = " (" + string(view.Reason) + ")"
		}
		_, _ = fmt.Fprintf(p.errOut, "line %d: %s%s\n", number, view.Error, reason)
	case p.failed == maxToldFaults+1 && r.Err != nil:
		_, _ = fmt.Fprintln(p.errOut, "more faults are only counted; --output json tells them all")
	}
}
