package template_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

func TestMeasureSMS(t *testing.T) {
	for _, test := range []struct {
		text string
		want string
	}{
		{"", "0 of 160, 1 part, GSM-7"},
		{"Hej, åäö ÅÄÖ é à ñ ß Ø Æ £ ¥ § ¿ @ _ Δ", "38 of 160, 1 part, GSM-7"},
		{strings.Repeat("a", 160), "160 of 160, 1 part, GSM-7"},
		{strings.Repeat("a", 161), "161 of 306, 2 parts, GSM-7"},
		{strings.Repeat("a", 306), "306 of 306, 2 parts, GSM-7"},
		{strings.Repeat("a", 307), "307 of 459, 3 parts, GSM-7"},
		{strings.Repeat("€", 80), "160 of 160, 1 part, GSM-7"},
		{strings.Repeat("€", 81), "162 of 306, 2 parts, GSM-7"},
		{strings.Repeat("€", 153), "306 of 459, 3 parts, GSM-7"}, // 76 in a part, whose last septet stays free
		{"^{}\\[~]|\f\r\n", "20 of 160, 1 part, GSM-7"},
		{"1234 – giltig", "13 of 70, 1 part, UCS-2 because of \"\\u2013\", character 6"},
		{"1234 – giltig " + strings.Repeat("x", 106), "120 of 134, 2 parts, UCS-2 because of \"\\u2013\", character 6"},
		{strings.Repeat("ж", 70), "70 of 70, 1 part, UCS-2 because of \"\\u0436\", character 1"},
		{strings.Repeat("ж", 71), "71 of 134, 2 parts, UCS-2 because of \"\\u0436\", character 1"},
		{strings.Repeat("😀", 35), "70 of 70, 1 part, UCS-2 because of \"\\U0001f600\", character 1"},
		{strings.Repeat("😀", 67), "134 of 201, 3 parts, UCS-2 because of \"\\U0001f600\", character 1"}, // 33 in a part
		{"it’s", "4 of 70, 1 part, UCS-2 because of \"\\u2019\", character 3"},
		{"ç", "1 of 70, 1 part, UCS-2 because of \"\\u00e7\", character 1"}, // of which GSM has the capital alone
		{"a\u00a0b", "3 of 70, 1 part, UCS-2 because of \"\\u00a0\", character 2"},
		{"`", "1 of 70, 1 part, UCS-2 because of \"`\", character 1"},
	} {
		if got := template.MeasureSMS(test.text).String(); got != test.want {
			t.Errorf("%.20q: %s; want %s", test.text, got, test.want)
		}
	}
}

func TestMaxParts(t *testing.T) {
	r := record(map[string]string{template.SMSText: "{{.ctx.a}}"}, nil)
	r.MaxParts = 2
	tmpl, err := template.Compile(r)
	if err != nil {
		t.Fatal(err)
	}
	for text, fits := range map[string]bool{strings.Repeat("a", 306): true, strings.Repeat("a", 307): false,
		strings.Repeat("–", 134): true, strings.Repeat("–", 135): false} {
		_, err := tmpl.Render(event(`{"a":"`+text+`"}`), "en")
		var e *template.Error
		if (err == nil) != fits || err != nil && (!errors.As(err, &e) || e.Reason != topology.ReasonRenderFailed ||
			e.Part != template.SMSText || e.Detail != "the text takes 3 parts, and max_parts is 2") {
			t.Errorf("%.5s, %d bytes: %v", text, len(text), err)
		}
	}
}
