package authoring

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/topology"
)

// Version is the version of a record: a hash of everything in it but the
// version itself, whether it is retired, and the time. The same content has the
// same version.
func Version(r topology.TemplateRecord) string {
	r.Version, r.Retired, r.PublishedAt = "", false, time.Time{}
	sum := sha256.Sum256(r.Append(nil))
	return hex.EncodeToString(sum[:6])
}

// Writer writes records to one partition of a topic and returns when they are
// safe there. Records that the topic will never take are left out, and their
// indexes returned.
type Writer interface {
	Publish(ctx context.Context, topic topology.Topic, partition int, records []topology.Record) (refused []int, err error)
}

// Publish writes the versions that are not live yet to the templates topic, and
// returns their refs: PlanPublication, and then Write.
func Publish(ctx context.Context, to Writer, topic topology.Topic, live *catalogue.Catalogue,
	records []topology.TemplateRecord, at time.Time) ([]topology.TemplateRef, error) {
	return Write(ctx, to, topic, PlanPublication(live, records), at)
}

// Records are what changes write when they are made at that time, with their refs.
func Records(changes []Change, at time.Time) (records []topology.TemplateRecord, refs []topology.TemplateRef) {
	for i := range changes {
		if c := &changes[i]; c.Kind != Unchanged {
			records, refs = append(records, c.published(at)), append(refs, c.Ref())
		}
	}
	return records, refs
}

// writtenAtOnce is how many templates are written before the next are: more
// take fewer requests, fewer say more exactly what an outage has left undone.
const writtenAtOnce = 32

// Write makes changes live, and returns the refs of what it wrote. Each template
// is one record, so each changes as a whole or not at all. Where the writer
// gives up half-way the error is a *PartialError: the same again, planned on
// what is live then, does the rest. What the topic does not take is left out,
// and the error then is a *RefusedError.
//
// The time of publication is at, or a little later where it takes that to be
// later than what was published last.
func Write(ctx context.Context, to Writer, topic topology.Topic, changes []Change,
	at time.Time) ([]topology.TemplateRef, error) {
	published, refs := Records(changes, at)
	records := make([]topology.Record, len(refs))
	for i := range records {
		records[i] = topology.Record{Topic: topic, Key: []byte(refs[i]), Value: published[i].Append(nil)}
	}
	var written []topology.TemplateRef
	var refused RefusedError
	for from := 0; from < len(records); from += writtenAtOnce {
		end := min(from+writtenAtOnce, len(records))
		no, err := to.Publish(ctx, topic, 0, records[from:end])
		if err != nil {
			return written, &PartialError{Written: written, Unknown: refs[from:end], Left: refs[end:], Err: err}
		}
		for i, ref := range refs[from:end] {
			if slices.Contains(no, i) {
				refused.Refs = append(refused.Refs, ref)
			} else {
				written = append(written, ref)
			}
		}
	}
	if len(refused.Refs) > 0 {
		return written, &refused
	}
	return written, nil
}

// PartialError says how far a publication came.
type PartialError struct {
	Written []topology.TemplateRef // for certain
	Unknown []topology.TemplateRef // perhaps written, perhaps not
	Left    []topology.TemplateRef // not tried
	Err     error
}

func (e *PartialError) Error() string {
	all := len(e.Written) + len(e.Unknown) + len(e.Left)
	return fmt.Sprintf("%d of %d templates are published, %d perhaps, %d not: do the same again, which is safe: %v",
		len(e.Written), all, len(e.Unknown), len(e.Left), e.Err)
}

func (e *PartialError) Unwrap() error { return e.Err }

// RefusedError names the versions that the topic does not take.
type RefusedError struct{ Refs []topology.TemplateRef }

func (e *RefusedError) Error() string {
	names := make([]string, len(e.Refs))
	for i, ref := range e.Refs {
		names[i] = string(ref)
	}
	return "the topic does not take " + strings.Join(names, ", ") + ": they may be larger than its max.message.bytes"
}
