package suppress

import (
	"bufio"
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

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
	Cause   topology.Cause
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
	// National is how many phone numbers came without their country's code, which is not known: only jobs with the
	// same digits are theirs.
	National int `json:"national"`
}

// BadLine is a row that cannot be used. It has none of the row's text, which
// may be somebody's address.
type BadLine struct {
	Line   int    `json:"line"` // of the file, from 1
	Detail string `json:"error"`
}

func (b *BadLine) Error() string { return fmt.Sprintf("line %d: %s", b.Line, b.Detail) }

// rowsAtOnce is how many rows are added at once.
const rowsAtOnce = 5000

// Import adds what the file has. Bad rows are told and passed over; repeating
// an import adds nothing. Its error is ErrHeader, with nothing added, the
// reader's own, or Redis's: what was read before is added all the same.
func (l *List) Import(ctx context.Context, r io.Reader, how Import) (done Imported, err error) {
	f, err := l.open(r, how)
	if err == nil && l.Hasher == nil {
		err = ErrNoPepper
	}
	for batch := make([]topology.Suppression, 0, rowsAtOnce); err == nil; batch = batch[:0] {
		for err == nil && len(batch) < rowsAtOnce {
			var row topology.Suppression
			row, err = f.next()
			if bad, isBad := errors.AsType[*BadLine](err); isBad {
				done.Read, done.Bad, err = done.Read+1, done.Bad+1, nil
				if how.OnBad != nil {
					how.OnBad(bad)
				}
			} else if err == nil {
				done.Read++
				batch = append(batch, row)
				if f.national {
					done.National++
				}
			}
		}
		added, failed := l.add(ctx, batch)
		if failed != nil {
			return done, failed
		}
		done.Added, done.Known = done.Added+added, done.Known+len(batch)-added
		if how.OnProgress != nil {
			how.OnProgress(done)
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return done, err
}

// ErrHeader is the error of a file whose first line names no columns that can be
// used; more words say why.
var ErrHeader = errors.New("the header row")

// file reads additions from CSV.
type file struct {
	list *List
	how  Import // for rows that have nothing of their own
	now  time.Time
	rows *csv.Reader
	at   map[string]int // the position of each column

	national bool // the last row has a phone number without its country's code
}

// open reads the header row.
func (l *List) open(r io.Reader, how Import) (*file, error) {
	// By its byte order mark it may be UTF-16, which spreadsheets call Unicode.
	text := bufio.NewReaderSize(transform.NewReader(r, unicode.BOMOverride(transform.Nop)), 64<<10)
	f := &file{list: l, how: how, now: l.now(), rows: csv.NewReader(text), at: make(map[string]int)}
	f.rows.ReuseRecord, f.rows.FieldsPerRecord = true, -1
	f.rows.Comma = separator(text)
	names, err := f.rows.Read()
	if err == nil && names[0] == "sep=" {
		names, err = f.rows.Read()
	}
	syntax, isSyntax := errors.AsType[*csv.ParseError](err)
	switch {
	case errors.Is(err, io.EOF):
		return nil, fmt.Errorf("%w: there is none: the file is empty", ErrHeader)
	case isSyntax:
		return nil, fmt.Errorf("%w: %s", ErrHeader, faultOf(syntax))
	case err != nil:
		return nil, err
	}
	return f, f.readHeader(names)
}

// separator is what stands between the names of the first line, by that of the addresses: spreadsheets of half of the
// world write semicolons, or tabs. A line before it may say what it is.
func separator(text *bufio.Reader) rune {
	head, _ := text.Peek(4 << 10)
	line, _, _ := strings.Cut(string(head), "\n")
	for _, mark := range ";\t" {
		for name := range strings.SplitSeq(line, string(mark)) {
			_, ok := addresses[strings.ToLower(strings.Trim(name, "\" \r"))]
			if (ok || name == "sep=") && strings.ContainsRune(line, mark) {
				return mark
			}
		}
	}
	return ','
}

// addresses are the names that a column of addresses may have, lower case. Those
// of an event's fields name the channel along.
var addresses = map[string]topology.Channel{
	"address": "", "email": topology.Email, "mobilephone": topology.SMS, "registrationtoken": topology.Push,
}

func (f *file) readHeader(names []string) error {
	for i, name := range names {
		name = strings.ToLower(strings.TrimSpace(name))
		column := name
		if channel, ok := addresses[name]; ok {
			column, f.how.Channel = "address", cmp.Or(f.how.Channel, channel)
		} else if name != "channel" && name != "reason" && name != "until" {
			continue // other columns are the exporting system's own affair
		}
		if first, ok := f.at[column]; ok {
			other := strings.ToLower(strings.TrimSpace(names[first]))
			return fmt.Errorf("%w: two columns mean the same: %s and %s", ErrHeader, other, name)
		}
		f.at[column] = i
	}
	if _, ok := f.at["address"]; !ok && strings.Contains(strings.Join(names, ""), "\x00") {
		return fmt.Errorf("%w: it is in UTF-16 without a byte order mark: save the file as UTF-8", ErrHeader)
	} else if !ok {
		return fmt.Errorf("%w: it names no column of addresses: address, email, mobilePhone or registrationToken", ErrHeader)
	}
	if _, ok := f.at["channel"]; !ok && f.how.Channel == "" {
		return fmt.Errorf("%w: it names no column channel, and no channel was given for all rows", ErrHeader)
	}
	return nil
}

// next returns the next row. Its error is io.EOF at the end, a *BadLine for a
// row that cannot be used, or the reader's own.
func (f *file) next() (row topology.Suppression, err error) {
	fields, err := f.rows.Read()
	if syntax, ok := errors.AsType[*csv.ParseError](err); ok {
		return row, &BadLine{syntax.StartLine, faultOf(syntax)}
	}
	if err != nil {
		return row, err
	}
	row, err = f.row(fields)
	if err != nil {
		line, _ := f.rows.FieldPos(0)
		err = &BadLine{line, err.Error()}
	}
	return row, err
}

func (f *file) row(fields []string) (row topology.Suppression, err error) {
	s := Subject{f.how.Channel, f.field(fields, "address")}
	e := topology.Suppression{Cause: f.how.Cause, Added: f.now, Until: f.how.Until}
	if text := f.field(fields, "channel"); text != "" {
		s.Channel = topology.Channel(strings.ToLower(text))
	}
	if !slices.Contains(address.Channels(), s.Channel) {
		return row, errors.New("channel: use email, sms or push")
	}
	if text := f.field(fields, "reason"); text != "" {
		if e.Cause, err = topology.ParseCause(strings.ToLower(text)); err != nil {
			return row, fmt.Errorf("reason: %w", err)
		}
	}
	if text := f.field(fields, "until"); text != "" {
		if e.Until, err = ParseTime(text); err != nil {
			return row, fmt.Errorf("until: %w", err)
		}
	}
	switch {
	case e.Cause == "":
		return row, errors.New("reason: there is none, and none was given for all rows")
	case e.Over(f.now):
		return row, errors.New("until: it has ended already")
	case s.Address == "":
		return row, errors.New("address: there is none")
	}
	row, ok := f.list.suppression(s)
	if !ok {
		return row, fmt.Errorf("address: it is none of channel %s", s.Channel)
	}
	f.national = s.Channel == topology.SMS && f.list.Region == "" && address.IsNational(s.Address)
	row.Cause, row.Added, row.Until = e.Cause, e.Added, e.Until
	return row, nil
}

// field is a column's text in a row; empty where the row is too short.
func (f *file) field(fields []string, column string) string {
	if at, ok := f.at[column]; ok && at < len(fields) {
		return strings.TrimSpace(fields[at])
	}
	return ""
}

// faultOf says what is wrong with a row's quotes, without the row's text.
func faultOf(syntax *csv.ParseError) string {
	if syntax.Line > syntax.StartLine {
		return fmt.Sprintf("a quote that is not closed takes in all up to line %d: none of it is read", syntax.Line)
	}
	return "a quote stands where none can: fields with quotes in them are put in quotes, and theirs doubled"
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
