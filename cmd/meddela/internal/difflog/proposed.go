package difflog

import (
	"context"
	"time"

	"github.com/meddela/meddela/cmd/meddela/internal/authoring"
	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/topology"
)

// Proposed returns the catalogue that would be live if the records were
// published at that time, and the versions that this would make live. The
// templates that the records do not name stay as they are.
func Proposed(ctx context.Context, live *catalogue.Catalogue, records []topology.TemplateRecord, at time.Time) (*catalogue.Catalogue, []topology.TemplateRef, error) {
	var writer draft
	refs, err := authoring.Publish(ctx, &writer, "", live, records, at)
	if err != nil || len(refs) == 0 {
		return live, nil, err
	}
	all := make([]topology.TemplateRecord, 0, live.Versions()+len(refs))
	for entry := range live.All() {
		all = append(all, *entry.Record())
	}
	proposed, err := catalogue.New(append(all, writer.records...)...)
	return proposed, refs, err
}

// draft is the Writer of a publication that does not take place, so that what
// is compared is what the publication would write.
type draft struct{ records []topology.TemplateRecord }

func (d *draft) Publish(_ context.Context, _ topology.Topic, _ int, records []topology.Record) ([]int, error) {
	for _, r := range records {
		record, err := topology.DecodeTemplate(r.Value)
		if err != nil {
			return nil, err
		}
		d.records = append(d.records, record)
	}
	return nil, nil
}
