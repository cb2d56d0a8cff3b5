package match

import "github.com/meddela/meddela/topology"

// Trace is how a decision came about. The zero value is ready for one decision;
// a nil one takes nothing.
type Trace struct {
	// Trials are the candidates whose conditions were looked at, in that
	// order. The last one is the chosen one, or the one whose condition could
	// not be evaluated, unless no condition holds. Candidates that are not
	// among them come after it.
	Trials []Trial
}

// Trial is the look at one candidate.
type Trial struct {
	Template topology.TemplateRef
	Language string // of its body nearest to the wanted one
	Distance int    // of that language from the wanted one
	Holds    bool   // whether its condition does
	Err      error  // why that cannot be told
}

func (t *Trace) tried(trial Trial) {
	if t != nil {
		t.Trials = append(t.Trials, trial)
	}
}
