package consumer

import (
	"fmt"
	"runtime/debug"

	"github.com/meddela/meddela/topology"
)

// try calls the handler. A crash of the handler is pinned to one record by
// handling the rest of the batch one record at a time: that record becomes a
// dead letter, its neighbours are handled as ever.
func (s *worker) try(b Batch) (Result, error) {
	if s.isolating > 0 {
		b.Records = b.Records[:1]
	}
	result, err, crash := s.call(b)
	switch {
	case crash == nil && result.Handled == 0 && err == nil:
		crash = fmt.Errorf("the handler neither handled a record nor said why")
		fallthrough
	case crash != nil:
		return s.afterCrash(b, crash), nil
	}
	s.isolating -= min(result.Handled, s.isolating)
	return result, err
}

// afterCrash dead-letters a lone record, and makes the records of a larger
// batch come one by one.
func (s *worker) afterCrash(b Batch, crash error) Result {
	if len(b.Records) > 1 {
		s.isolating = len(b.Records)
		return Result{}
	}
	s.isolating = max(s.isolating-1, 0)
	s.log.Error().Int64("offset", b.Records[0].Offset).Err(crash).
		Msg("handling this record crashed; it is now a dead letter. Please report this defect")
	out := s.ending(&b.Records[0], &topology.Fault{
		Reason: topology.ReasonInternalError,
		Detail: "handling this record crashed; the log has the stack",
	}, topology.ReasonInternalError)
	return Result{Out: out, Handled: 1}
}

func (s *worker) call(b Batch) (result Result, err, crash error) {
	defer func() {
		if cause := recover(); cause != nil {
			result, err = Result{}, nil
			crash = fmt.Errorf("panic: %v\n%s", cause, debug.Stack())
		}
	}()
	result, err = s.config.Handler.Handle(s.tracker.in(s.working), b)
	return result, err, nil
}
