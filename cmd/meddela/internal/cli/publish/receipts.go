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

// tell counts a line, and says what became of it. refused reports whether that was for a fault of its own.
func (p *publication) tell(number int, r producer.Receipt) (refused bool) {
	view := receiptView{Line: number, ID: r.ID}
	if r.Err == nil {
		p.published++
		view.Partition, view.Offset = &r.Partition, &r.Offset
	} else {
		p.failed++
		view.Error = r.Err.Error()
	}
	fault, refused := errors.AsType[*topology.Fault](r.Err)
	if refused {
		view.ID, view.Reason = "", fault.Reason
	}
	if view.Reason == topology.ReasonTooLarge { // of which not all was read
		view.Error = "the line is longer than an event may be, 1 MiB"
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
	return refused
}
