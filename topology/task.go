package topology

import (
	"slices"
	"strconv"
	"time"
)

// TaskAction is what a record of the tasks topic tells of its task.
type TaskAction string

const (
	TaskStart    TaskAction = "start"    // what is to be done, by whom first
	TaskTake     TaskAction = "take"     // another process goes on with it
	TaskPause    TaskAction = "pause"    // it waits until a person has it taken
	TaskCancel   TaskAction = "cancel"   // what is left is not done
	TaskEnd      TaskAction = "end"      // all is done
	TaskProgress TaskAction = "progress" // how far it is; the only one that replaces its like
)

// TaskActions lists every action.
func TaskActions() []TaskAction {
	return []TaskAction{TaskStart, TaskTake, TaskPause, TaskCancel, TaskEnd, TaskProgress}
}

// TaskKind is what a task publishes again.
type TaskKind string

const (
	RedriveLetters TaskKind = "dead-letters" // the originals of dead letters
	ResendEvents   TaskKind = "resend"       // events, by their entries in the delivery log
)

// TaskRecord is what was done with a task: by whom, when, why. It is read rarely, so its wire
// form is plain encoding/json.
type TaskRecord struct {
	Task   string           `json:"task"` // its id
	Action TaskAction       `json:"action"`
	Epoch  int              `json:"epoch,omitempty"` // 1, and one more each time that it is taken
	Actor  string           `json:"actor"`           // the process
	By     string           `json:"by,omitempty"`    // the person
	Why    string           `json:"why,omitempty"`
	At     time.Time        `json:"at"`
	Spec   *TaskSpec        `json:"spec,omitempty"`   // of a start
	Next   map[int]int64    `json:"next,omitempty"`   // by partition: everything before that offset is done
	Counts map[string]int64 `json:"counts,omitempty"` // of published, and of what was refused, by why
	Held   string           `json:"held,omitempty"`   // why it waits by itself
	// IfRunning is of a take: it does not count if the task is paused.
	IfRunning bool `json:"if_running,omitempty"`
}

// TaskSpec is what a task is to do. It does not change, so that whoever goes on does the same.
type TaskSpec struct {
	Kind   TaskKind    `json:"kind"`
	Lane   Lane        `json:"lane"`
	Filter TaskFilter  `json:"filter,omitzero"`
	Ranges []TaskRange `json:"ranges,omitempty"` // of the dead letters, or the delivery log: all else is not the task's
	Events []TaskEvent `json:"events,omitempty"` // those chosen by id, instead
	Rate   float64     `json:"rate"`             // most events a second
	Count  int64       `json:"count,omitempty"`  // how many it was expected to publish

	NewMessage bool `json:"new_message,omitempty"` // also what was sent, or may have been
	Expired    bool `json:"expired,omitempty"`     // as if it were received when it is published
}

// TaskFilter says which dead letters or events are meant. What is empty is any.
type TaskFilter struct {
	Statuses []Status `json:"statuses,omitempty"`
	Reason   Reason   `json:"reason,omitempty"`
	Template string   `json:"template,omitempty"` // a name, or name@version
	Provider string   `json:"provider,omitempty"`
	Type     string   `json:"type,omitempty"`
	Channel  Channel  `json:"channel,omitempty"`
	Role     Role     `json:"role,omitempty"`
	Topic    Topic    `json:"topic,omitempty"` // that a dead letter was on
	Build    string   `json:"build,omitempty"`
}

// TaskRange is the offsets of one partition from From up to, and without, To.
type TaskRange struct {
	ID        string `json:"id,omitempty"` // of the topic: in another of its name the task looks at nothing
	Partition int    `json:"partition"`
	From      int64  `json:"from"`
	To        int64  `json:"to"`
}

// TaskEvent is an event, and how often it had been redriven when it was chosen.
type TaskEvent struct {
	ID       EventID `json:"id"`
	Redrives int     `json:"redrives,omitempty"`
}

// Key is that of the record: one of its own, which nothing replaces, but for progress, where the
// last of a process counts.
func (t *TaskRecord) Key() string {
	return t.Task + "/" + string(t.Action) + "/" + strconv.Itoa(t.Epoch) + "/" + t.Actor
}

// DecodeTask reads a task record's wire form. Its error is a *Fault.
func DecodeTask(value []byte) (TaskRecord, error) {
	var t TaskRecord
	if f := unmarshal(value, &t); f != nil {
		return TaskRecord{}, f
	}
	var d objectReader
	d.require("task", t.Task)
	d.require("actor", t.Actor)
	if !slices.Contains(TaskActions(), t.Action) {
		d.fail(ReasonBadValue, "action", "must be start, take, pause, cancel, end or progress")
	}
	if t.At.IsZero() {
		d.fail(ReasonMissingField, "at", "is required: when this was done")
	}
	switch {
	case (t.Spec != nil) != (t.Action == TaskStart):
		d.fail(ReasonMissingField, "spec", "is required of a start, and of nothing else: what is to be done")
	case t.Spec != nil:
		d.requireLane("spec.lane", t.Spec.Lane)
		if t.Spec.Kind != RedriveLetters && t.Spec.Kind != ResendEvents {
			d.fail(ReasonBadValue, "spec.kind", "must be dead-letters or resend")
		}
		if t.Spec.Rate <= 0 {
			d.fail(ReasonBadValue, "spec.rate", "must be a positive number of events a second")
		}
	}
	t.At = t.At.UTC()
	return t, d.fault()
}

// Append appends the record's wire form to b.
func (t *TaskRecord) Append(b []byte) []byte {
	type plain TaskRecord
	return marshal(b, struct {
		*plain
		At wireTime `json:"at"`
	}{(*plain)(t), wireTime(t.At)})
}
