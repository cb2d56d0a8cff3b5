package authoring

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/topology"
)

// Version is the version of a record: a hash of everything in it but the
// version itself and the time. The same content has the same version.
func Version(r topology.TemplateRecord) string {
	r.Version, r.PublishedAt = "", time.Time{}
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
// returns their refs. A version is live when it is its template's latest in the
// catalogue; one that is known, but no longer the latest, is published again
// and becomes that.
//
// The time of publication is at, or a little later where it takes that to be
// later than the version now live.
func Publish(ctx context.Context, to Writer, topic topology.Topic, live *catalogue.Catalogue, records []topology.TemplateRecord, at time.Time) ([]topology.TemplateRef, error) {
	var out []topology.Record
	var refs []topology.TemplateRef
	for _, r := range records {
		latest, known := live.Latest(r.Name)
		if known && latest.Ref() == r.Ref() {
			continue
		}
		r.PublishedAt = at.UTC().Truncate(time.Millisecond)
		if known && !r.PublishedAt.After(latest.Record().PublishedAt) {
			r.PublishedAt = latest.Record().PublishedAt.Truncate(time.Millisecond).Add(time.Millisecond)
		}
		out = append(out, topology.Record{Topic: topic, Key: []byte(r.Ref()), Value: r.Append(nil)})
		refs = append(refs, r.Ref())
	}
	if len(out) == 0 {
		return nil, nil
	}
	refused, err := to.Publish(ctx, topic, 0, out)
	if err != nil {
		return nil, fmt.Errorf("publishing templates: %w", err)
	}
	return split(refs, refused)
}

// RefusedError names the versions that the topic does not take.
type RefusedError struct{ Refs []topology.TemplateRef }

func (e *RefusedError) Error() string {
	names := make([]string, len(e.Refs))
	for i, ref := range e.Refs {
		names[i] = string(ref)
	}
	return "the topic does not take " + strings.Join(names, ", ") + ": they may be larger than its max.message.bytes"
}

// split separates the refs written from those refused.
func split(refs []topology.TemplateRef, refused []int) (written []topology.TemplateRef, err error) {
	no := &RefusedError{}
	for i, ref := range refs {
		if len(refused) > 0 && refused[0] == i {
			refused = refused[1:]
			no.Refs = append(no.Refs, ref)
			continue
		}
		written = append(written, ref)
	}
	if len(no.Refs) > 0 {
		return written, no
	}
	return written, nil
}
