package suppress_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf16"

	"github.com/meddela/meddela/consumer/deliver/recipient/suppress"
	"github.com/meddela/meddela/topology"
)

// imported is what became of a file, and its bad lines as text.
func imported(t *testing.T, l *suppress.List, file string, how suppress.Import) (done suppress.Imported, bad []string) {
	t.Helper()
	how.OnBad = func(b *suppress.BadLine) { bad = append(bad, b.Error()) }
	done, err := l.Import(t.Context(), strings.NewReader(file), how)
	if err != nil {
		t.Fatal(err)
	}
	return done, bad
}

func TestImport(t *testing.T) {
	const file = `Id,Channel,Address,Reason,Until,Note
1,email,kim@example.com,unsubscribed,,
2,Email,Lee@Example.com ,Bounced,2999-12-31,"said ""no"""
3,sms,+46 70 123 45 67,complaint,2999-12-31T08:00:00+02:00,"two
lines"
4,push,token,manual,,
5,email,nobody,manual,,
6,pigeon,kim@example.com,manual,,
7,email,max@example.com,dislike,,
8,email,max@example.com,manual,soon,
9,email,max@example.com,manual,2001-01-01,
10,email,,manual,,
11,email,max@example.com,,,
12,email

13,email,"quote"x@example.com,manual,,
14,email,ann@example.com,manual
15,email,KIM@example.com,manual,,
`
	onServers(t, func(t *testing.T, s store) {
		l := s.list()
		done, bad := imported(t, l, file, suppress.Import{})
		if want := (suppress.Imported{Read: 15, Added: 5, Known: 1, Bad: 9}); done != want {
			t.Errorf("%+v, want %+v", done, want)
		}
		want := []string{
			"line 7: address: it is none of channel email",
			"line 8: channel: use email, sms or push",
			"line 9: reason: use unsubscribed, bounced, complaint or manual",
			"line 10: until: use a date such as 2027-01-31, or a time such as 2027-01-31T08:00:00Z",
			"line 11: until: it has ended already",
			"line 12: address: there is none",
			"line 13: reason: there is none, and none was given for all rows",
			"line 14: reason: there is none, and none was given for all rows",
			"line 16: a quote stands where none can: fields with quotes in them are put in quotes, and theirs doubled",
		}
		if !slices.Equal(bad, want) {
			t.Errorf("bad lines\n%s\nwant\n%s", strings.Join(bad, "\n"), strings.Join(want, "\n"))
		}
		got := answered(t, gateOf(l), sms("", "0046701234567"),
			suppress.Query{Channel: topology.Email, Address: "kim@example.com"},
			suppress.Query{Channel: topology.Email, Address: "lee@example.com"},
			suppress.Query{Channel: topology.Push, Address: "token"},
			suppress.Query{Channel: topology.Email, Address: "ann@example.com"},
			suppress.Query{Channel: topology.Email, Address: "max@example.com"})
		if want := []string{"suppressed complaint", "suppressed unsubscribed", "suppressed bounced", "suppressed manual",
			"suppressed manual", ""}; !slices.Equal(got, want) {
			t.Errorf("answers %q, want %q", got, want)
		}
		again, _ := imported(t, l, file, suppress.Import{})
		if want := (suppress.Imported{Read: 15, Known: 6, Bad: 9}); again != want {
			t.Errorf("repeated: %+v, want %+v", again, want)
		}
	})
}

// TestImportForms: files as people have them.
func TestImportForms(t *testing.T) {
	bounced := suppress.Import{Cause: topology.Bounced}
	for _, test := range []struct {
		name, file string
		how        suppress.Import
		subject    suppress.Subject
	}{
		{"the event's e-mail", "email\nkim@example.com\n", bounced, emails("kim@example.com")[0]},
		{"the event's number", "id,mobilePhone\n1,112\n", bounced, suppress.Subject{Channel: topology.SMS, Address: "112"}},
		{"the event's token", "registrationToken\nt\n", bounced, suppress.Subject{Channel: topology.Push, Address: "t"}},
		{"a channel for all", "address\n112\n", suppress.Import{Channel: topology.SMS, Cause: topology.Bounced},
			suppress.Subject{Channel: topology.SMS, Address: "112"}},
		{"a row's own channel", "address,channel\n112,sms\n", suppress.Import{Channel: topology.Email,
			Cause: topology.Bounced}, suppress.Subject{Channel: topology.SMS, Address: "112"}},
		{"a byte order mark", "\xef\xbb\xbfemail\nkim@example.com\n", bounced, emails("kim@example.com")[0]},
		{"UTF-16", utf16Of("\ufeffid\temail\n1\tkim@example.com\n", binary.LittleEndian), bounced,
			emails("kim@example.com")[0]},
		{"UTF-16, the other way round", utf16Of("\ufeffemail\nkim@example.com\n", binary.BigEndian), bounced,
			emails("kim@example.com")[0]},
		{"semicolons", "id;email;note\r\n1;kim@example.com;a, b\r\n", bounced, emails("kim@example.com")[0]},
		{"a comma in another name",
			"\"email\";\"note, if any\"\r\nkim@example.com;a, b\r\n", bounced, emails("kim@example.com")[0]},
		{"the separator told first", "sep=;\r\nnote;email\r\n;kim@example.com\r\n", bounced, emails("kim@example.com")[0]},
		{"tabs", "id\temail\n1\tkim@example.com\n", bounced, emails("kim@example.com")[0]},
		{"no last line end", "email\nkim@example.com", bounced, emails("kim@example.com")[0]},
		{"quotes", "\"email\"\n\"kim@example.com\"\n", bounced, emails("kim@example.com")[0]},
	} {
		t.Run(test.name, func(t *testing.T) {
			onServers(t, func(t *testing.T, s store) {
				done, bad := imported(t, s.list(), test.file, test.how)
				found, err := s.list().Find(t.Context(), []suppress.Subject{test.subject})
				if err != nil || found[0] == nil || found[0].Cause != topology.Bounced || done.Added != 1 || len(bad) > 0 {
					t.Errorf("%+v, %v, found %+v, %v", done, bad, found[0], err)
				}
			})
		})
	}
}

func utf16Of(text string, order binary.AppendByteOrder) string {
	var b []byte
	for _, unit := range utf16.Encode([]rune(text)) {
		b = order.AppendUint16(b, unit)
	}
	return string(b)
}

// TestImportOfNationalNumbers: in a region they are everybody's who writes them with or without its code. Without
// one they are told of.
func TestImportOfNationalNumbers(t *testing.T) {
	const file = "mobilePhone\n46701234567.0\n+46 (0)70-123 45 68\n070-123 45 69\n0046701234560.00\n"
	how := suppress.Import{Cause: topology.Unsubscribed}
	onServers(t, func(t *testing.T, s store) {
		l := s.list()
		l.Region = "SE"
		if done, bad := imported(t, l, file, how); done != (suppress.Imported{Read: 4, Added: 4}) {
			t.Errorf("%+v, %v", done, bad)
		}
		for _, got := range answered(t, gateOf(l), sms("", "+46701234567"), sms("", "0701234567"), sms("", "0046701234568"),
			sms("", "+46 70 123 45 69"), sms("", "070 123 45 60")) {
			if got != "suppressed unsubscribed" {
				t.Errorf("%q", got)
			}
		}
	})
	onServers(t, func(t *testing.T, s store) {
		if done, bad := imported(t, s.list(), file, how); done != (suppress.Imported{Read: 4, Added: 4, National: 2}) {
			t.Errorf("%+v, %v", done, bad)
		}
	})
}

func TestHeaderErrors(t *testing.T) {
	for file, want := range map[string]string{
		"":                                      "the header row: there is none: the file is empty",
		"kim@example.com\n":                     "the header row: it names no column of addresses: address, email, mobilePhone or registrationToken",
		"address\n112\n":                        "the header row: it names no column channel, and no channel was given for all rows",
		"email,Address\na@b,a@b\n":              "the header row: two columns mean the same: email and address",
		utf16Of("email\n", binary.LittleEndian): "the header row: it is in UTF-16 without a byte order mark: save the file as UTF-8",
		"\"email\n":                             "the header row: a quote stands where none can: fields with quotes in them are put in quotes, and theirs doubled",
	} {
		_, err := (&suppress.List{Copy: new(suppress.Copy)}).Import(t.Context(), strings.NewReader(file), suppress.Import{})
		if !errors.Is(err, suppress.ErrHeader) || err.Error() != want {
			t.Errorf("%q: %v; want %s", file, err, want)
		}
	}
}

// TestAQuoteThatIsNotClosed swallows the rest of the file, and says so.
func TestAQuoteThatIsNotClosed(t *testing.T) {
	onServers(t, func(t *testing.T, s store) {
		file := "email\na@example.com\n\"b@example.com\nc@example.com\nd@example.com\n"
		done, bad := imported(t, s.list(), file, suppress.Import{Cause: topology.Manual})
		if want := []string{"line 3: a quote that is not closed takes in all up to line 5: none of it is read"}; !slices.Equal(bad, want) || done.Added != 1 {
			t.Errorf("%+v, %q", done, bad)
		}
	})
}

func TestImportThatBreaksOff(t *testing.T) {
	onServers(t, func(t *testing.T, s store) {
		gone := errors.New("the disk is gone")
		var file strings.Builder
		file.WriteString("email\n")
		for i := range 12_000 {
			fmt.Fprintf(&file, "kim%d@example.com\n", i)
		}
		var progress []int
		how := suppress.Import{Cause: topology.Bounced,
			OnProgress: func(i suppress.Imported) { progress = append(progress, i.Added) }}
		r := iotest.TimeoutReader(strings.NewReader(file.String())) // whose second read fails
		if _, err := s.list().Import(t.Context(), r, how); !errors.Is(err, iotest.ErrTimeout) {
			t.Errorf("a reader that fails: %v", err)
		}
		progress = nil
		done, err := s.list().Import(t.Context(), strings.NewReader(file.String()), how)
		if err != nil || done.Read != 12_000 || done.Added+done.Known != 12_000 || len(progress) != 3 {
			t.Errorf("%+v, %v, %v", done, progress, err)
		}
		_, err = s.list().Import(t.Context(), iotest.ErrReader(gone), how)
		if !errors.Is(err, gone) {
			t.Errorf("a reader that fails at once: %v", err)
		}
	})
}

func FuzzImport(f *testing.F) {
	for _, seed := range []string{"email\nkim@example.com\n", "a;email\n1;\"x\"\n",
		"\xef\xbb\xbfaddress,channel,reason,until\n112,sms,manual,2999-01-01\n"} {
		f.Add(seed)
	}
	s := storeAt(f, miniAddr(f))
	l := s.list()
	f.Fuzz(func(t *testing.T, file string) {
		bad := 0
		done, err := l.Import(t.Context(), strings.NewReader(file), suppress.Import{
			Cause: topology.Manual, Until: time.Now().Add(time.Minute), OnBad: func(*suppress.BadLine) { bad++ },
		})
		if err != nil && !errors.Is(err, suppress.ErrHeader) {
			t.Fatal(err)
		}
		if done.Bad != bad || done.Read != done.Added+done.Known+done.Bad {
			t.Fatalf("%+v, %d bad lines", done, bad)
		}
	})
}
