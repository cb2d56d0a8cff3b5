package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/meddela/meddela/topology"
)

const (
	memoryGoal     = 100 // MB
	memoryInterval = 250 * time.Millisecond
	// flat is how much more memory, in MB, the end of a backlog may take than
	// its middle.
	flat = 10
)

// Memory lets events wait and has one role after the other work them off,
// while it looks at how much memory each takes.
func (b *Bench) Memory(ctx context.Context, events int) (*Memory, error) {
	names, keys := b.names("memory"), b.keys("memory")
	if err := b.createTopics(ctx, names); err != nil {
		return nil, err
	}
	if err := b.publishTemplates(ctx, names); err != nil {
		return nil, err
	}
	if err := b.fill(ctx, names.Events(lane), events, numbered(b.Sizing.Partitions)); err != nil {
		return nil, err
	}
	result := &Memory{Events: events}
	for _, step := range []struct {
		role   topology.Role
		topics []topology.Topic
	}{
		{topology.RoleMatch, []topology.Topic{names.Events(lane)}},
		{topology.RoleDeliver, []topology.Topic{names.Jobs(lane)}},
		{topology.RoleStatus, []topology.Topic{names.Events(lane), names.DeliveryLog(lane)}},
	} {
		r, err := b.remember(ctx, step.role, names, keys, step.topics)
		if err != nil {
			return result, fmt.Errorf("%s: %w", step.role, err)
		}
		result.Roles = append(result.Roles, r)
	}
	return result, nil
}

// remember has a role work off its topics.
func (b *Bench) remember(ctx context.Context, role topology.Role, names topology.Topics, keys topology.Keys, topics []topology.Topic) (RoleMemory, error) {
	r := RoleMemory{Role: role}
	groups := names.Groups(role, lane)
	waiting, err := b.mostBehind(ctx, groups, topics...)
	if err != nil {
		return r, err
	}
	c, err := b.startRole(role, names, keys)
	if err != nil {
		return r, err
	}
	r.Records = waiting
	began := time.Now()
	for left := waiting; left > 0 && err == nil; {
		if err = sleep(ctx, memoryInterval); err != nil {
			break
		}
		now, most := memory(c.pid())
		r.Samples, r.Most = append(r.Samples, megabytes(now)), megabytes(most)
		left, err = b.mostBehind(ctx, groups, topics...)
		b.Progress("memory: %s, %d of %d records left, %.0f MB", role, left, waiting, megabytes(now))
		err = firstOf(c.check(), err)
	}
	r.Rate = float64(waiting) / time.Since(began).Seconds()
	if err = errors.Join(err, c.stop()); err == nil && len(r.Samples) > 0 {
		r.judge()
	}
	return r, err
}

// Memory is what roles took to work off waiting events.
type Memory struct {
	Events int          `json:"events"`
	Roles  []RoleMemory `json:"roles"`
}

// RoleMemory is what one role took, in MB.
type RoleMemory struct {
	Role    topology.Role `json:"role"`
	Records int64         `json:"records"`
	Rate    float64       `json:"rate"` // records a second, the start included
	Samples []float64     `json:"samples_mb"`
	Most    float64       `json:"most_mb"` // as the kernel keeps it, between samples too
	Middle  float64       `json:"middle_mb"`
	Last    float64       `json:"last_mb"`
}

// judge takes the means of the middle fifth and of the last.
func (r *RoleMemory) judge() {
	n := len(r.Samples)
	r.Middle, r.Last = mean(r.Samples[2*n/5:max(3*n/5, 2*n/5+1)]), mean(r.Samples[min(4*n/5, n-1):])
	r.Most = max(r.Most, slices.Max(r.Samples))
}

// Tables implements Result.
func (m *Memory) Tables() []Table {
	t := Table{
		Title:   fmt.Sprintf("memory, %s events of 1 KB waiting", whole(float64(m.Events))),
		Columns: []string{"role", "records", "records/s", "most MB", "in the middle", "at the end"},
	}
	for _, r := range m.Roles {
		t.Rows = append(t.Rows, []string{
			string(r.Role), whole(float64(r.Records)), whole(r.Rate), oneDigit(r.Most), oneDigit(r.Middle), oneDigit(r.Last),
		})
		t.Verdicts = append(t.Verdicts, Verdict{
			Text: fmt.Sprintf("%s: %.0f MB at most, %+.0f MB from the middle to the end; the goal is below %d MB, and flat",
				r.Role, r.Most, r.Last-r.Middle, memoryGoal),
			Met: r.Most < memoryGoal && r.Last-r.Middle < flat,
		})
	}
	return []Table{t}
}
