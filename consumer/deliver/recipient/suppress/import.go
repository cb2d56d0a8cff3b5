package suppress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/meddela/meddela/topology"
)

// Import is one reading of a file of addresses into the list. Its first line
// names the columns: address (or email, mobilePhone, registrationToken, which
// say the channel too), channel, reason, until; others are skipped.
type Import struct {
	// For rows that say nothing else. Channel and Cause may be empty where
	// every row has its own; a zero Until is for good.
	Channel topology.Channel
	Cause   Cause
	Until   time.Time
	// OnBad hears of each row that is not read; nil is nobody.
	OnBad func(*BadLine)
	// OnProgress hears now and then how far it is; nil is nobody.
	OnProgress func(Imported)
}

// Imported is how far an import has come.
type Imported struct {
	Read  int `json:"read"`  // rows, without the header
	Added int `json:"added"` // addresses that are new or suppressed for longer now
	Known int `json:"known"` // rows of addresses that were suppressed for as long already
	Bad   int `json:"bad"`   // rows that could not be read
}

// BadLine is a row that cannot be used. It has none of the row's text, which
// may be somebody's address.
type BadLine struct {
	Line int // of the file, from 1
	Err  error
}

func (b *BadLine) Error() string { return fmt.Sprintf("line %d: %v", b.Line, b.Err) }

func (b *BadLine) Unwrap() error { return b.Err }

// importBatch is how many rows are added at once.
const importBatch = 1000

// Import adds what the file has. Bad rows are told and passed over; repeating
// an import adds nothing. Its error is a *HeaderError, with nothing added, the
// reader's own, or Redis's: what was read before is added all the same.
func (l *List) Import(ctx context.Context, r io.Reader, how Import) (Imported, error) {
	var done Imported
	rows, err := newFile(r, how, l.now())
	if err != nil {
		return done, err
	}
	batch := make([]addition, 0, importBatch)
	for {
		a, err := rows.next()
		var bad *BadLine
		switch {
		case errors.As(err, &bad):
			done.Read, done.Bad = done.Read+1, done.Bad+1
			if how.OnBad != nil {
				how.OnBad(bad)
			}
			continue
		case err == nil:
			done.Read++
			if batch = append(batch, a); len(batch) < importBatch {
				continue
			}
		}
		if failed := l.importBatch(ctx, batch, &how, &done); failed != nil {
			return done, failed
		}
		batch = batch[:0]
		if errors.Is(err, io.EOF) {
			return done, nil
		}
		if err != nil {
			return done, err
		}
	}
}

func (l *List) importBatch(ctx context.Context, batch []addition, how *Import, done *Imported) error {
	added, err := l.add(ctx, batch)
	if err != nil {
		return err
	}
	done.Added, done.Known = done.Added+added, done.Known+len(batch)-added
	if how.OnProgress != nil {
		how.OnProgress(*done)
	}
	return nil
}
