package authoring_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meddela/meddela/cmd/meddela/internal/authoring"
	"github.com/meddela/meddela/consumer/catalogue"
	"github.com/meddela/meddela/topology"
)

var now = time.Date(2026, 12, 1, 8, 0, 0, 123456789, time.UTC)

// shelf keeps what is published.
type shelf struct {
	records []topology.Record
	refused []int
	err     error
}

func (s *shelf) Publish(_ context.Context, partition int, records []topology.Record) ([]int, error) {
	if s.err != nil {
		return nil, s.err
	}
	for i, r := range records {
		if r.Topic != "test.templates" || partition != 0 {
			return nil, errors.New("the wrong place")
		}
		if !slices.Contains(s.refused, i) {
			s.records = append(s.records, r)
		}
	}
	return s.refused, nil
}

// catalogue is what a consumer makes of the shelf.
func (s *shelf) catalogue(t *testing.T) *catalogue.Catalogue {
	t.Helper()
	var all []topology.TemplateRecord
	for _, r := range s.records {
		record, err := topology.DecodeTemplate(r.Value)
		if err != nil || string(record.Ref()) != string(r.Key) {
			t.Fatalf("published %s: %v", r.Key, err)
		}
		all = append(all, record)
	}
	c, err := catalogue.New(all...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func versionOf(t *testing.T, body string) topology.TemplateRecord {
	t.Helper()
	records, err := authoring.Load(greeting(map[string]string{"greeting/sv/sms.txt": body}))
	if err != nil {
		t.Fatal(err)
	}
	return records[0]
}

func TestPublish(t *testing.T) {
	one, two := versionOf(t, "one"), versionOf(t, "two")
	s := &shelf{}
	publish := func(at time.Time, records ...topology.TemplateRecord) []topology.TemplateRef {
		t.Helper()
		refs, err := authoring.Write(t.Context(), s, "test.templates",
			authoring.PlanPublication(s.catalogue(t), records), at)
		if err != nil {
			t.Fatal(err)
		}
		return refs
	}
	live := func() topology.TemplateRef {
		e, _ := s.catalogue(t).Latest("greeting")
		return e.Ref()
	}
	if got := publish(now, one); !slices.Equal(got, []topology.TemplateRef{one.Ref()}) {
		t.Errorf("published %v", got)
	}
	if e, _ := s.catalogue(t).Latest("greeting"); !e.Record().PublishedAt.Equal(now.Truncate(time.Millisecond)) {
		t.Errorf("published at %v", e.Record().PublishedAt)
	}
	if got := publish(now.Add(time.Hour), one); got != nil {
		t.Errorf("what is live was published again: %v", got)
	}
	if publish(now.Add(-time.Hour), two); live() != two.Ref() {
		t.Error("by a clock that is behind, the new version is not live")
	}
	if publish(now.Add(time.Hour), one); live() != one.Ref() {
		t.Error("the version before, published again, is not live")
	}
}

func TestPublishFailures(t *testing.T) {
	one := versionOf(t, "one")
	other := one
	other.Name = "other"
	away := errors.New("away")
	_, err := authoring.Write(t.Context(), &shelf{err: away}, "test.templates",
		authoring.PlanPublication(new(catalogue.Catalogue), []topology.TemplateRecord{one}), now)
	if !errors.Is(err, away) {
		t.Errorf("error %v; want the writer's", err)
	}
	refs, err := authoring.Write(t.Context(), &shelf{refused: []int{0}}, "test.templates",
		authoring.PlanPublication(new(catalogue.Catalogue), []topology.TemplateRecord{one, other}), now)
	if err == nil || !strings.HasPrefix(err.Error(), "the topic does not take "+string(one.Ref())+": ") ||
		!slices.Equal(refs, []topology.TemplateRef{other.Ref()}) {
		t.Errorf("published %v, error %v", refs, err)
	}
}
