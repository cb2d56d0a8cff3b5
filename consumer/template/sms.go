package template

import (
	"fmt"
	"strings"
)

// SMSLength is what a text takes as an SMS.
type SMSLength struct {
	Encoding string `json:"encoding"` // GSM-7, or UCS-2 because of a character that the former lacks
	Units    int    `json:"units"`    // septets, or 16 bits each
	Parts    int    `json:"parts"`
	Culprit  string `json:"culprit,omitempty"` // the first such character
	At       int    `json:"at,omitempty"`      // its place among the characters, from 1
}

// The alphabet of GSM 03.38, and those of its characters that take two septets.
const (
	gsmBasic = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZ" +
		"ÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
	gsmExtended = "\f^{}\\[~]|€"
)

// MeasureSMS measures a text as it goes over the air: one part has 160 septets or 70 times 16 bits, and each of
// several 153 or 67. No character is cut in two.
func MeasureSMS(text string) SMSLength {
	l := SMSLength{Encoding: "GSM-7"}
	single, several, width := 160, 153, func(r rune) int { return 1 + strings.Count(gsmExtended, string(r)) }
	at := 0
	for _, r := range text {
		if at++; !strings.ContainsRune(gsmBasic, r) && !strings.ContainsRune(gsmExtended, r) {
			l.Encoding, l.Culprit, l.At = "UCS-2", string(r), at
			single, several, width = 70, 67, func(r rune) int { return 1 + max(0, min(1, int(r>>16))) }
			break
		}
	}
	filled := 0
	for _, r := range text {
		l.Units += width(r)
		if filled += width(r); filled > several || l.Parts == 0 {
			l.Parts, filled = l.Parts+1, width(r)
		}
	}
	if l.Units <= single {
		l.Parts = 1
	}
	return l
}

func (l SMSLength) String() string {
	room := map[string][2]int{"GSM-7": {160, 153}, "UCS-2": {70, 67}}[l.Encoding]
	text := fmt.Sprintf("%d of %d, 1 part, %s", l.Units, room[0], l.Encoding)
	if l.Parts > 1 {
		text = fmt.Sprintf("%d of %d, %d parts, %s", l.Units, l.Parts*room[1], l.Parts, l.Encoding)
	}
	if l.Culprit != "" {
		text += fmt.Sprintf(" because of %+q, character %d", l.Culprit, l.At)
	}
	return text
}
