package authoring

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/topology"
)

// Version is a hash of everything that decides what a template does: the same content has the same.
func Version(r topology.TemplateRecord) string {
	r.Version, r.Retired, r.PublishedAt = "", false, time.Time{}
	sum := sha256.Sum256(r.Append(nil))
	return hex.EncodeToString(sum[:6])
}

// Writer writes records to a partition of their topics, and returns when they are safe there, with the
// indexes of those that the topic will never take.
type Writer interface {
	Publish(ctx context.Context, partition int, records []topology.Record) (refused []int, err error)
}

// writtenAtOnce is small enough that an error says well what an outage has left undone.
const writtenAtOnce = 32

// Write makes changes live, and returns the refs of what it wrote for certain. Each
// template changes as a whole or not at all. What the topic does not take is left out.
func Write(ctx context.Context, to Writer, topic topology.Topic, changes []Change,
	at time.Time) (written []topology.TemplateRef, err error) {
	published := recordsOf(changes, at)
	refs := refsOf(published)
	records := make([]topology.Record, len(refs))
	for i := range records {
		records[i] = topology.Record{Topic: topic, Key: []byte(refs[i]), Value: published[i].Append(nil)}
	}
	var refused []topology.TemplateRef
	for from := 0; from < len(records); from += writtenAtOnce {
		end := min(from+writtenAtOnce, len(records))
		no, err := to.Publish(ctx, 0, records[from:end])
		if err != nil {
			return written, fmt.Errorf("%d of %d templates are published, %d perhaps, %d not: "+
				"do the same again, which is safe: %w", len(written), len(refs), end-from, len(refs)-end, err)
		}
		for i, ref := range refs[from:end] {
			if slices.Contains(no, i) {
				refused = append(refused, ref)
			} else {
				written = append(written, ref)
			}
		}
	}
	if len(refused) > 0 {
		err = fmt.Errorf("the topic does not take %s: they may be larger than its max.message.bytes",
			strings.Join(wording.Texts(refused), ", "))
	}
	return written, err
}

// Overtaken lists the changes that the catalogue does not show: somebody else has published since.
func Overtaken(now *catalogue.Catalogue, changes []Change) (refs []topology.TemplateRef) {
	for _, c := range changes {
		latest, known := now.Latest(c.Record.Name)
		same := known && latest.Ref() == c.Record.Ref() && latest.Record().Retired == c.Record.Retired
		if c.Kind != Unchanged && !same {
			refs = append(refs, c.Record.Ref())
		}
	}
	return refs
}
