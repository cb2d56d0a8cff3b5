package catalogue

import (
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/meddela/meddela/topology"
)

// news is what one record says.
type news struct {
	ref   topology.TemplateRef
	entry *Entry // nil when the version is retired
	err   error  // of a record that is not taken
}

// decodeAll decodes records side by side: at start there are many, and checking
// each takes far longer than applying it.
func decodeAll(records []topology.Record) []news {
	all := make([]news, len(records))
	workers := min(runtime.GOMAXPROCS(0), len(records))
	var done sync.WaitGroup
	for w := range workers {
		done.Go(func() {
			for i := w; i < len(records); i += workers {
				all[i] = decode(&records[i])
			}
		})
	}
	done.Wait()
	return all
}

var (
	errNoKey    = errors.New("the record has no key: it must be name@version")
	errOtherKey = errors.New("the record's key is not its own name@version")
)

func decode(r *topology.Record) news {
	n := news{ref: topology.TemplateRef(r.Key)}
	switch {
	case len(r.Key) == 0:
		n.err = errNoKey
	case r.Value != nil:
		n.entry, n.err = decodeEntry(r)
	}
	return n
}

func decodeEntry(r *topology.Record) (*Entry, error) {
	record, err := topology.DecodeTemplate(r.Value)
	if err != nil {
		return nil, fmt.Errorf("template %s: %w", r.Key, err)
	}
	if string(record.Ref()) != string(r.Key) {
		return nil, errOtherKey
	}
	if record.PublishedAt.IsZero() {
		record.PublishedAt = r.Time
	}
	return newEntry(record)
}
