package condition

import (
	"strings"
	"testing"
)

func TestSyntaxFaultsAreInWordsOfAuthors(t *testing.T) {
	for expression, want := range map[string]string{
		"":                            "ends where more is expected",
		"ctx.vip >":                   "1:10: ends where more is expected",
		"ctx.a = 1":                   "1:7: = is no operator of CEL: write ==",
		"ctx.a & ctx.b":               "1:7: & is no operator of CEL: write &&",
		"ctx.a and ctx.b":             "1:7: and is no word of CEL: write &&",
		"(ctx.a":                      "1:7: ) is missing at the end",
		"ctx.a)":                      "1:6: ) does not fit here",
		"ctx.a ctx.b":                 "1:7: ctx does not fit here: is something missing before it",
		"ctx.a == 'x":                 "1:10: the text that begins with 'x is not closed",
		"ctx.a == “x”":                "1:10: “ is a quote for print",
		"ctx.a ? 1":                   "1:10: ends where more is expected",
		"ctx.a == #1":                 "1:10: # has no meaning in CEL",
		"ctx.a &&\n  (ctx.b":          "2:9: ) is missing at the end",
		"event.country == SE":         "1:18: SE is not known: conditions read event and ctx",
		"event.country.startswith(1)": "startswith is not known",
	} {
		_, err := Compile(expression)
		faults, ok := err.(Faults)
		if !ok || len(faults) != 1 || !strings.Contains(faults[0].Error(), want) {
			t.Errorf("%q: %v, want %s", expression, err, want)
		}
		for _, jargon := range []string{"EOF", "expecting", "IDENTIFIER", "token", "undeclared"} {
			if err != nil && strings.Contains(err.Error(), jargon) {
				t.Errorf("%q: %v has %s in it", expression, err, jargon)
			}
		}
	}
}
