package suppress

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/meddela/meddela/consumer/deliver/recipient/address"
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

// rowsAtOnce is how many rows are added at once.
const rowsAtOnce = 1000

// Import adds what the file has. Bad rows are told and passed over; repeating
// an import adds nothing. Its error is a *HeaderError, with nothing added, the
// reader's own, or Redis's: what was read before is added all the same.
func (l *List) Import(ctx context.Context, r io.Reader, how Import) (Imported, error) {
	var done Imported
	rows, err := newFile(r, how, l.now())
	if err != nil {
		return done, err
	}
	batch := make([]addition, 0, rowsAtOnce)
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
			if batch = append(batch, a); len(batch) < rowsAtOnce {
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

// column is what one column of a file means.
type column int

const (
	columnAddress column = iota
	columnChannel
	columnCause
	columnUntil
	columns
)

// headers are the names of columns, lower case. Where one names the channel
// along with the address, as the fields of events do, it is in channelOf.
var headers = map[string]column{
	"address": columnAddress, "email": columnAddress, "mobilephone": columnAddress, "registrationtoken": columnAddress,
	"channel": columnChannel, "reason": columnCause, "until": columnUntil,
}

var channelOf = map[string]topology.Channel{
	"email": topology.Email, "mobilephone": topology.SMS, "registrationtoken": topology.Push,
}

// HeaderError says what a file's first line lacks.
type HeaderError struct{ Detail string }

func (e *HeaderError) Error() string { return "the header row: " + e.Detail }

// file reads additions from CSV.
type file struct {
	rows    *csv.Reader
	at      [columns]int // the position of each column; -1 where there is none
	channel topology.Channel
	cause   Cause
	until   time.Time
	now     time.Time
}

// newFile reads the header row. The import's values are for rows that have
// none of their own.
func newFile(r io.Reader, defaults Import, now time.Time) (*file, error) {
	text := bufio.NewReaderSize(r, 64<<10)
	if mark, _ := text.Peek(3); bytes.Equal(mark, []byte("\xef\xbb\xbf")) {
		_, _ = text.Discard(len(mark))
	}
	f := &file{rows: csv.NewReader(text), now: now}
	f.channel, f.cause, f.until = defaults.Channel, defaults.Cause, defaults.Until
	f.rows.ReuseRecord, f.rows.FieldsPerRecord = true, -1
	f.rows.Comma = separator(text)
	names, err := f.rows.Read()
	var syntax *csv.ParseError
	switch {
	case errors.Is(err, io.EOF):
		return nil, &HeaderError{"there is none: the file is empty"}
	case errors.As(err, &syntax):
		return nil, &HeaderError{faultOf(syntax).Error()}
	case err != nil:
		return nil, err
	}
	return f, f.readHeader(names)
}

// separator is what stands between the names of the first line: spreadsheets
// of half of the world write semicolons, or tabs.
func separator(text *bufio.Reader) rune {
	head, _ := text.Peek(4 << 10)
	head, _, _ = bytes.Cut(head, []byte("\n"))
	for _, mark := range ";\t" {
		if bytes.ContainsRune(head, mark) && !bytes.ContainsRune(head, ',') {
			return mark
		}
	}
	return ','
}

func (f *file) readHeader(names []string) error {
	for c := range f.at {
		f.at[c] = -1
	}
	for i, name := range names {
		name = strings.ToLower(strings.TrimSpace(name))
		c, ok := headers[name]
		if !ok {
			continue // other columns are the exporting system's own affair
		}
		if f.at[c] >= 0 {
			first := strings.ToLower(strings.TrimSpace(names[f.at[c]]))
			return &HeaderError{"two columns mean the same: " + first + " and " + name}
		}
		f.at[c] = i
		if channel, ok := channelOf[name]; ok && f.channel == "" {
			f.channel = channel
		}
	}
	if f.at[columnAddress] < 0 {
		return &HeaderError{"it names no column of addresses: address, email, mobilePhone or registrationToken"}
	}
	if f.at[columnChannel] < 0 && f.channel == "" {
		return &HeaderError{"it names no column channel, and no channel was given for all rows"}
	}
	return nil
}

// next returns the next row. Its error is io.EOF at the end, a *BadLine for a
// row that cannot be used, or the reader's own.
func (f *file) next() (addition, error) {
	fields, err := f.rows.Read()
	var syntax *csv.ParseError
	switch {
	case errors.As(err, &syntax):
		return addition{}, &BadLine{syntax.StartLine, faultOf(syntax)}
	case err != nil:
		return addition{}, err
	}
	a, err := f.addition(fields)
	if err != nil {
		line, _ := f.rows.FieldPos(0)
		return addition{}, &BadLine{line, err}
	}
	return a, nil
}

func (f *file) addition(fields []string) (a addition, err error) {
	a = addition{Subject{f.channel, f.field(fields, columnAddress)}, f.cause, f.until}
	if text := f.field(fields, columnChannel); text != "" {
		a.Channel = topology.Channel(strings.ToLower(text))
	}
	if !slices.Contains(address.Channels(), a.Channel) {
		return a, errors.New("channel: use email, sms or push")
	}
	if text := f.field(fields, columnCause); text != "" {
		if a.cause, err = ParseCause(strings.ToLower(text)); err != nil {
			return a, fmt.Errorf("reason: %w", err)
		}
	}
	if text := f.field(fields, columnUntil); text != "" {
		if a.until, err = ParseTime(text); err != nil {
			return a, fmt.Errorf("until: %w", err)
		}
	}
	switch {
	case a.cause == "":
		return a, errors.New("reason: there is none, and none was given for all rows")
	case !a.until.IsZero() && !f.now.Before(a.until):
		return a, errors.New("until: it has ended already")
	case a.Address == "":
		return a, errors.New("address: there is none")
	}
	if _, ok := address.Normalize(a.Channel, a.Address); !ok {
		return a, fmt.Errorf("address: it is none of channel %s", a.Channel)
	}
	return a, nil
}

// field is a column's text in a row; empty where the row is too short.
func (f *file) field(fields []string, c column) string {
	if at := f.at[c]; at >= 0 && at < len(fields) {
		return strings.TrimSpace(fields[at])
	}
	return ""
}

// faultOf says what is wrong with a row's quotes, without the row's text.
func faultOf(syntax *csv.ParseError) error {
	if syntax.Line > syntax.StartLine {
		return fmt.Errorf("a quote that is not closed takes in all up to line %d: none of it is read", syntax.Line)
	}
	return errors.New("a quote stands where none can: fields with quotes in them are put in quotes, and theirs doubled")
}

// ParseTime reads a time as people and spreadsheets write it: RFC 3339, or a
// date, of which it is the first moment in UTC.
func ParseTime(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, errors.New("use a date such as 2027-01-31, or a time such as 2027-01-31T08:00:00Z")
}
