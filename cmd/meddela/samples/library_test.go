package samples_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/meddela/meddela/cmd/meddela/internal/authoring"
	"github.com/meddela/meddela/cmd/meddela/samples"
	"github.com/meddela/meddela/consumer/match"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

func library(tb testing.TB) []authoring.Template {
	tb.Helper()
	report, err := authoring.Check(samples.Templates())
	if err != nil {
		tb.Fatal(err)
	}
	for _, f := range slices.Concat(report.Faults, report.Warnings) {
		tb.Errorf("%v", f)
	}
	return report.Templates
}

func TestTheLibraryIsInFourLanguagesAndWhole(t *testing.T) {
	channels := map[topology.Channel]int{}
	templates := library(t)
	for _, source := range templates {
		r := source.Record
		channels[r.Channel]++
		languages := slices.Sorted(maps.Keys(r.Bodies))
		if r.Channel != topology.Webhook && !slices.Equal(languages, []string{"de", "en", "fi", "sv"}) {
			t.Errorf("%s is in %v", r.Name, languages)
		}
		for language, body := range r.Bodies {
			for _, part := range template.Parts(r.Channel) {
				optional := part == template.EmailUnsubscribe || part == template.EmailAttachments
				if body[part] == "" && !optional {
					t.Errorf("%s in %s has no %s", r.Name, language, part)
				}
			}
		}
		if len(source.Samples) < 2 {
			t.Errorf("%s has %d samples: it needs one with all data, and one with the least", r.Name, len(source.Samples))
		}
	}
	if len(templates) < 12 || len(channels) != len(topology.Channels()) {
		t.Errorf("there are %d templates, by channel %v", len(templates), channels)
	}
}

// forEachMessage renders every sample in every language.
func forEachMessage(t *testing.T, check func(t *testing.T, language string, m template.Message)) {
	for _, source := range library(t) {
		compiled, err := template.Compile(source.Record)
		if err != nil {
			t.Fatal(err)
		}
		for _, sample := range source.Samples {
			if strings.HasPrefix(sample.File[strings.LastIndexByte(sample.File, '/')+1:], "not_") {
				continue
			}
			for _, language := range compiled.Languages.Names {
				t.Run(strings.TrimSuffix(sample.File, ".json")+"/"+language, func(t *testing.T) {
					m, err := compiled.Render(&sample.Event, language)
					if err != nil {
						t.Fatal(err)
					}
					check(t, language, m)
				})
			}
		}
	}
}

// What Gmail shows whole has at most 102 KiB, and a header line should have at
// most 78 characters.
func TestMailsFitWhereTheyAreRead(t *testing.T) {
	forEachMessage(t, func(t *testing.T, language string, m template.Message) {
		if m.Channel != topology.Email {
			return
		}
		if n := len(m.HTML); n > 16<<10 {
			t.Errorf("the HTML has %d bytes", n)
		}
		if n := utf8.RuneCountInString(m.Subject); n == 0 || n > 70 && !strings.Contains(m.Subject, "…") || n > 90 {
			t.Errorf("the subject has %d characters: %s", n, m.Subject)
		}
		if !strings.Contains(m.HTML, `<html lang="`+language+`">`) {
			t.Errorf("the HTML does not say that it is in %s", language)
		}
	})
}

// Whoever reads the text part gets every address, number and amount that the
// HTML has.
func TestTextSaysWhatTheHTMLSays(t *testing.T) {
	forEachMessage(t, func(t *testing.T, _ string, m template.Message) {
		if m.Channel != topology.Email {
			return
		}
		mail := readMail(t, m.HTML)
		facts := mail.links
		for _, text := range mail.texts {
			for _, word := range strings.Fields(text) {
				if strings.ContainsFunc(word, unicode.IsDigit) {
					facts = append(facts, strings.Trim(word, ".,:()"))
				}
			}
		}
		if len(mail.links)+len(mail.texts) < 5 {
			t.Fatalf("only %v was found in the HTML", mail)
		}
		everything := strings.Join(strings.Fields(m.Subject+" "+m.Text), " ")
		for _, fact := range facts {
			if !strings.Contains(everything, fact) {
				t.Errorf("%q is in the HTML alone", fact)
			}
		}
	})
}

// The least contrast of text is what WCAG 2 asks for at level AA.
func TestMailsCanBeReadInLightAndDark(t *testing.T) {
	forEachMessage(t, func(t *testing.T, _ string, m template.Message) {
		if m.Channel != topology.Email {
			return
		}
		mail := readMail(t, m.HTML)
		if len(mail.contrasts) < 10 {
			t.Fatalf("only %d texts have colours", len(mail.contrasts))
		}
		for _, c := range mail.contrasts {
			if c.ratio() < 4.5 {
				t.Errorf("the contrast of %v is %.2f", c, c.ratio())
			}
		}
	})
}

func TestTextMessagesAreShort(t *testing.T) {
	forEachMessage(t, func(t *testing.T, _ string, m template.Message) {
		if m.Channel != topology.SMS {
			return
		}
		n := segments(m.Text)
		t.Logf("%d: %s", n, m.Text)
		if n > 2 {
			t.Errorf("the text is sent as %d messages", n)
		}
	})
}

func TestOrdersOfCompaniesGetTheirOwnMail(t *testing.T) {
	c := load(t)
	for ctx, want := range map[string]string{
		`{}`:                     "order_confirmation",
		`{"companyName":"A AB"}`: "order_confirmation_business",
	} {
		ev := topology.Event{Type: "order_confirmation", Channel: topology.Email, Language: "fi", Ctx: []byte(ctx)}
		d := match.Decide(&ev, now, c, now, nil)
		if name, _, _ := strings.Cut(string(d.Template), "@"); name != want || d.Language != "fi" {
			t.Errorf("%s: %s in %s; want %s", ctx, d.Template, d.Language, want)
		}
	}
}
