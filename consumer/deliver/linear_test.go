package deliver

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/meddela/meddela/topology"
)

// asked is what one owner asks of a job's claim.
type asked struct {
	job, owner int
	what       string // claim, settle or release
}

// register is a job's claim as it should be, where no lease ends.
type register struct{ owner, outcome string }

// registers say what a claim may answer, one job at a time: "granted", "leased", or whose outcome stands.
var registers = porcupine.Model{
	Init: func() any { return register{} },
	Step: func(state, input, output any) (bool, any) {
		r, in := state.(register), input.(asked)
		owner := strconv.Itoa(in.owner)
		switch {
		case in.what == "release":
			if r.outcome == "" && r.owner == owner {
				r.owner = ""
			}
			return true, r
		case r.outcome != "":
			return output == r.outcome, r
		case in.what == "settle":
			return output == owner, register{outcome: owner}
		case r.owner == "" || r.owner == owner:
			return output == "granted", register{owner: owner}
		}
		return output == "leased", r
	},
	Partition: func(history []porcupine.Operation) (jobs [][]porcupine.Operation) {
		by := make(map[int][]porcupine.Operation)
		for _, o := range history {
			by[o.Input.(asked).job] = append(by[o.Input.(asked).job], o)
		}
		for _, of := range by {
			jobs = append(jobs, of)
		}
		return jobs
	},
}

// TestClaimsAreLinearizable: what several owners are answered who claim, settle and release the same jobs at once is
// what they could have been answered one after another.
func TestClaimsAreLinearizable(t *testing.T) {
	const jobs, owners, rounds = 40, 6, 12
	onServers(t, func(t *testing.T, store func(*Config)) {
		h := newWorld(t).handler(t, store, func(c *Config) { c.Lease, c.KeepClaims = time.Hour, 2*time.Hour })
		began := time.Now()
		histories := make([][]porcupine.Operation, owners)
		var all sync.WaitGroup
		for owner := range owners {
			all.Go(func() {
				for range rounds {
					for job := range jobs {
						in := asked{job, owner, []string{"claim", "claim", "claim", "release", "settle"}[rand.IntN(5)]}
						if in.what == "settle" && rand.IntN(4) > 0 {
							continue
						}
						call := time.Since(began)
						out := h.ask(t, in)
						histories[owner] = append(histories[owner], porcupine.Operation{ClientId: owner, Input: in,
							Call: int64(call), Output: out, Return: int64(time.Since(began))})
					}
				}
			})
		}
		all.Wait()
		var history []porcupine.Operation
		answers := make(map[any]int)
		for _, of := range histories {
			history = append(history, of...)
			for _, o := range of {
				answers[o.Output]++
			}
		}
		if answers["granted"] == 0 || answers["leased"] == 0 || len(answers) < 4 {
			t.Fatalf("nobody stood in another's way: %v", answers)
		}
		if got := porcupine.CheckOperationsTimeout(registers, history, time.Minute); got != porcupine.Ok {
			t.Errorf("%d answers are not linearizable: %v", len(history), got)
		}
	})
}

func (h *Handler) ask(t *testing.T, in asked) string {
	job, owner := aJob(fmt.Sprintf("job-%d", in.job)), strconv.Itoa(in.owner)
	switch in.what {
	case "release":
		if err := h.release(t.Context(), owner, jobsOf(job)); err != nil {
			t.Error(err)
		}
		return ""
	case "settle":
		d := &delivery{job: job, outcome: newOutcome(&job, ending{status: topology.Sent, detail: owner}, always)}
		if err := h.record(t.Context(), []*delivery{d})(); err != nil {
			t.Error(err)
		}
		return d.outcome.detail
	}
	d := &delivery{job: job}
	if err := h.claim(t.Context(), owner, []*delivery{d}); err != nil {
		t.Error(err)
	}
	switch d.claim {
	case settled:
		return d.outcome.detail
	case granted:
		return "granted"
	case leased:
		return "leased"
	}
	return fmt.Sprint(d.claim)
}
