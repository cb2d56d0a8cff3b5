package samples_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// mail is what a reader gets of an e-mail's HTML.
type mail struct {
	links, texts []string
	contrasts    []contrast
}

// contrast is a text's colours, in the light or in the dark.
type contrast struct {
	text, foreground, background string
}

// look is how the texts within an element are shown: in the light, and in the
// dark.
type look struct {
	hidden                 bool
	foreground, background [2]string
}

var (
	darkRule    = regexp.MustCompile(`\.([a-z]+) \{ ([^}]*) \}`)
	declaration = regexp.MustCompile(`(?:^|[; ])(background-color|color): ?(#[0-9a-f]{6})`)
)

// darkStyles are the declarations of each class that hold in the dark.
func darkStyles(tb testing.TB, html string) map[string]string {
	tb.Helper()
	_, block, found := strings.Cut(html, "@media (prefers-color-scheme: dark)")
	block, _, closed := strings.Cut(block, "</style>")
	if !found || !closed {
		tb.Fatal("there are no styles for the dark")
	}
	styles := map[string]string{}
	for _, rule := range darkRule.FindAllStringSubmatch(block, -1) {
		styles[rule[1]] = rule[2]
	}
	return styles
}

func readMail(tb testing.TB, html string) mail {
	tb.Helper()
	dark := darkStyles(tb, html)
	decoder := xml.NewDecoder(strings.NewReader(html))
	decoder.Strict, decoder.AutoClose, decoder.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	var m mail
	looks := []look{{foreground: [2]string{"#000000", "#ffffff"}, background: [2]string{"#ffffff", "#000000"}}}
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return m
		}
		if err != nil {
			tb.Fatal(err)
		}
		last := looks[len(looks)-1]
		switch e := token.(type) {
		case xml.StartElement:
			if href := attribute(e, "href"); href != "" {
				m.links = append(m.links, href)
			}
			looks = append(looks, last.within(e, dark))
		case xml.EndElement:
			looks = looks[:len(looks)-1]
		case xml.CharData:
			m.add(last, strings.TrimSpace(string(e)))
		}
	}
}

func (m *mail) add(l look, text string) {
	if text == "" || l.hidden {
		return
	}
	m.texts = append(m.texts, text)
	for i := range 2 {
		m.contrasts = append(m.contrasts, contrast{text, l.foreground[i], l.background[i]})
	}
}

// within is the look within an element.
func (l look) within(e xml.StartElement, dark map[string]string) look {
	style := attribute(e, "style")
	l.hidden = l.hidden || strings.Contains(style, "display:none") || e.Name.Local == "head"
	l.apply(style, 0)
	l.apply(style, 1)
	for _, class := range strings.Fields(attribute(e, "class")) {
		l.apply(dark[class], 1)
	}
	return l
}

func (l *look) apply(style string, at int) {
	for _, d := range declaration.FindAllStringSubmatch(style, -1) {
		if d[1] == "color" {
			l.foreground[at] = d[2]
		} else {
			l.background[at] = d[2]
		}
	}
}

func attribute(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

func (c contrast) String() string {
	return fmt.Sprintf("%q, %s on %s,", c.text, c.foreground, c.background)
}

// ratio is the contrast as WCAG 2 defines it, from 1 to 21.
func (c contrast) ratio() float64 {
	a, b := luminance(c.foreground), luminance(c.background)
	return (max(a, b) + 0.05) / (min(a, b) + 0.05)
}

// luminance is that of a colour such as #1b242c.
func luminance(colour string) float64 {
	sum := 0.0
	for i, weight := range [...]float64{0.2126, 0.7152, 0.0722} {
		n, err := strconv.ParseUint(colour[1+2*i:3+2*i], 16, 8)
		if err != nil {
			return math.NaN()
		}
		v := float64(n) / 255
		if v <= 0.04045 {
			v /= 12.92
		} else {
			v = math.Pow((v+0.055)/1.055, 2.4)
		}
		sum += weight * v
	}
	return sum
}

func TestContrastIsThatOfTheStandard(t *testing.T) {
	for colours, want := range map[[2]string]float64{
		{"#000000", "#ffffff"}: 21, {"#777777", "#ffffff"}: 4.48, {"#123456", "#123456"}: 1,
	} {
		if got := (contrast{"", colours[0], colours[1]}).ratio(); math.Abs(got-want) > 0.005 {
			t.Errorf("%v: %.3f; want %.2f", colours, got, want)
		}
	}
}
