package authoring

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/meddela/meddela/cmd/meddela/internal/faults"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

// warnings finds what works, and is perhaps not what was meant.
func (l *loader) warnings(templates []Template) faults.List {
	var w faults.List
	for i := range templates {
		t := &templates[i]
		if t.manifest == nil {
			continue
		}
		if len(t.Samples) == 0 && !l.faults.About(path.Join(t.Record.Name, samplesName)) {
			w.Add(t.manifest.file, 0, "there are no samples to check the template with: put events into "+
				path.Join(t.Record.Name, samplesName)+", one with all optional data and one with none")
		}
		warnOfLackingParts(&w, t)
		warnOfLength(&w, t)
		for language, body := range t.Record.Bodies {
			for line, text := range strings.Split(body[template.EmailHTML], "\n") {
				if telling.MatchString(text) {
					w.Add(path.Join(t.Record.Name, language, template.EmailHTML), line+1, "loads from a host that is told something "+
						"of the event whenever somebody opens the message: leave the value out of the address")
				}
			}
		}
		for j := range i {
			warnOfTie(&w, &templates[j], t)
		}
	}
	if len(l.faults) == 0 { // or else it is not known what is included
		l.warnOfUnused(&w, templates)
	}
	return w
}

// telling is an address that mail programs load by themselves, with a value behind its host.
var telling = regexp.MustCompile(`(?i)(src|background|srcset)\s*=\s*["']?(https?:)?//[^"'\s{]*\{\{|url\(["']?(https?:)?//[^)]*\{\{`)

// warnOfLackingParts finds parts that some of a template's languages have and others do not.
func warnOfLackingParts(w *faults.List, t *Template) {
	languages := slices.Sorted(maps.Keys(t.Record.Bodies))
	for _, part := range slices.Sorted(slices.Values(template.Parts(t.Record.Channel))) {
		lacks := func(language string) bool { _, has := t.Record.Bodies[language][part]; return !has }
		with := slices.DeleteFunc(slices.Clone(languages), lacks)
		for _, language := range languages {
			if len(with) > 0 && lacks(language) {
				w.Add(path.Join(t.Record.Name, language), 0, "there is no "+part+", which "+with[0]+
					" has: add it, or remove it there")
			}
		}
	}
}

// warnOfLength finds an SMS that takes more parts than with other punctuation or spaces.
func warnOfLength(w *faults.List, t *Template) {
	if t.Record.Channel != topology.SMS || !t.usable {
		return
	}
	for _, language := range t.Compiled.Languages.Names {
		for i := range t.Samples {
			m, err := t.Compiled.Render(&t.Samples[i].Event, language)
			length := template.MeasureSMS(m.Text)
			plain := template.MeasureSMS(strings.Map(func(r rune) rune {
				if unicode.IsLetter(r) || template.MeasureSMS(string(r)).Culprit == "" {
					return r
				}
				return '-'
			}, m.Text))
			if err != nil || plain.Parts >= length.Parts {
				continue
			}
			line, source := 0, t.Record.Bodies[language][template.SMSText]
			if at := strings.Index(source, length.Culprit); at >= 0 {
				line = 1 + strings.Count(source[:at], "\n")
			}
			w.Add(path.Join(t.Record.Name, language, template.SMSText), line, fmt.Sprintf(
				"takes %d parts instead of %d, with %s (%s): write another character", length.Parts, plain.Parts, path.Base(t.Samples[i].File), length))
			break
		}
	}
}

// warnOfTie finds two templates of which only the time of publication decides which an event gets.
func warnOfTie(w *faults.List, a, b *Template) {
	if a.Record.Channel != b.Record.Channel || a.Record.When != b.Record.When ||
		len(a.Record.Types) != len(b.Record.Types) {
		return
	}
	types := slices.DeleteFunc(slices.Clone(a.Record.Types), func(t string) bool {
		return !slices.Contains(b.Record.Types, t)
	})
	theirs := template.NewLanguages(slices.Collect(maps.Keys(b.Record.Bodies)), "")
	languages := slices.DeleteFunc(slices.Sorted(maps.Keys(a.Record.Bodies)), func(language string) bool {
		_, distance := theirs.Nearest(language)
		return distance > 0
	})
	if len(types) == 0 || len(languages) == 0 {
		return
	}
	w.Add(b.manifest.file, b.manifest.Line("types"), "covers "+strings.Join(types, ", ")+" on "+string(b.Record.Channel)+
		" in "+strings.Join(languages, ", ")+" just as "+path.Join(a.Record.Name, manifestName)+
		" does, so the one published last is used: tell them apart by when, or remove the type from one")
}

func (l *loader) warnOfUnused(w *faults.List, templates []Template) {
	used := make(map[string]string)
	for i := range templates {
		maps.Copy(used, templates[i].Record.Partials)
	}
	for name := range l.partials {
		if _, ok := used[name]; !ok {
			w.Add(path.Join(partialsFolder, name), 0, "no template includes it, so it is not checked: "+
				"include it with {{template "+strconv.Quote(name)+"}}, or remove it")
		}
	}
}
