package authoring_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/meddela/meddela/cmd/meddela/internal/authoring"
	"github.com/meddela/meddela/cmd/meddela/internal/faults"
)

const whenManifest = "types: [greeting]\nchannel: sms\n"

func TestWhenFaultsAreAtTheirLine(t *testing.T) {
	for name, test := range map[string]struct{ manifest, at string }{
		"plain":             {whenManifest + "when: ctx.vip > nope\nttl: 1h\n", ":3"},
		"plain, two lines":  {whenManifest + "when: ctx.vip &&\n  nope\n", ":4"},
		"plain, below":      {whenManifest + "when:\n  ctx.vip &&\n  nope\n", ":5"},
		"quoted":            {whenManifest + "when: 'nope'\n", ":3"},
		"quoted, two lines": {whenManifest + "when: \"ctx.vip &&\n  nope\"\n", ":4"},
		"block":             {whenManifest + "when: |\n  ctx.vip &&\n\n  ctx.age > 3 &&\n  nope\n", ":7"},
		"block, a comment":  {whenManifest + "when: |- # who\n  ctx.vip &&\n  nope\n", ":5"},
		"folded":            {whenManifest + "when: >-\n  ctx.vip &&\n  ctx.age > 3 &&\n  nope\n", ":6"},
		"folded, blanks":    {whenManifest + "when: >\n\n  ctx.vip &&\n\n  nope\n", ":7"},
		"CEL's own comment": {whenManifest + "when: |\n  // of importance\n  nope\n", ":5"},
		"in a flow":         {"{types: [greeting],\nchannel: sms, when: nope}\n", ":2"},
		"carriage returns":  {strings.ReplaceAll(whenManifest+"when: |\n  ctx.vip &&\n  nope\n", "\n", "\r\n"), ":5"},
		"wide letters":      {whenManifest + "when: |\n  ctx.namn == 'ÅÄÖ' && ctx.ö &&\n  nope\n", ":"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := authoring.Load(folder(map[string]string{"a/template.yaml": test.manifest, "a/en/sms.txt": "x"}))
			var found faults.List
			if !errors.As(err, &found) || !strings.HasPrefix(found[0].Error(), "a/template.yaml"+test.at) ||
				!strings.Contains(err.Error(), "when: ") {
				t.Errorf("%v, want it at %s", err, test.at)
			}
		})
	}
}

func TestWhenOfSamples(t *testing.T) {
	const sample = `{"type":"greeting","channel":"sms","mobilePhone":"+46701740605","country":"SE","ctx":{"vip":true}}`
	other := strings.Replace(sample, "SE", "FI", 1)
	for name, test := range map[string]struct {
		file, sample string
		want         string // of the faults; empty for none
	}{
		"holds": {"vip.json", sample, ""},
		"is false": {"vip.json", other,
			"samples/vip.json: the condition in template.yaml:3 is false for it"},
		"fails": {"vip.json", strings.Replace(sample, "vip", "vop", 1),
			"samples/vip.json: the condition in template.yaml:3 fails on it: ctx.vip is missing: ask with has(ctx.vip)"},
		"must not hold": {"not_vip.json", other, ""},
		"must not hold, and does": {"not_vip.json", sample,
			"samples/not_vip.json: the template covers it, which it must not"},
		"must not hold, and fails": {"not_vip.json", strings.Replace(sample, "vip", "vop", 1),
			"samples/not_vip.json: the condition in template.yaml:3 fails on it"},
		"of another type": {"not_vip.json", strings.Replace(sample, "greeting", "other", 1), ""},
		"of another type, by error": {"vip.json", strings.Replace(sample, "greeting", "other", 1),
			`samples/vip.json: its type "other" is none that the template covers (greeting): correct it, or add it to the types; if`},
	} {
		t.Run(name, func(t *testing.T) {
			report, err := authoring.Check(folder(map[string]string{
				"a/template.yaml": whenManifest + "when: |\n  event.country == 'SE'\n  && ctx.vip\n", "a/en/sms.txt": "x",
				"a/samples/" + test.file: test.sample,
			}))
			if err == nil {
				err = report.Faults.Err()
			}
			templates := report.Templates
			switch {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want != "" && (err == nil || !strings.HasPrefix(err.Error(), "a/"+test.want)):
				t.Errorf("%v\nwant %s", err, test.want)
			case test.want == "":
				if templates[0].Record.When != "event.country == 'SE'\n&& ctx.vip" {
					t.Errorf("when is %q", templates[0].Record.When)
				}
				if covered := !strings.HasPrefix(test.file, "not_"); covered != (len(templates[0].Samples) == 1) {
					t.Errorf("%d samples to render", len(templates[0].Samples))
				}
			}
		})
	}
}
