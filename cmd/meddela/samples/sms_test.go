package samples_test

import (
	"strings"
	"testing"
	"unicode/utf16"
)

// The alphabet of GSM 03.38. Each of the extended characters counts as two.
const (
	gsmBasic    = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
	gsmExtended = "^{}\\[~]|€"
)

// segments is how many messages a text is sent as: of 160 characters of that
// alphabet or, with any other, of 70 UTF-16 units; in several, of seven or three
// fewer each.
func segments(text string) int {
	length := 0
	for _, r := range text {
		switch {
		case strings.ContainsRune(gsmBasic, r):
			length++
		case strings.ContainsRune(gsmExtended, r):
			length += 2
		default:
			return parts(len(utf16.Encode([]rune(text))), 70, 67)
		}
	}
	return parts(length, 160, 153)
}

func parts(length, alone, together int) int {
	if length <= alone {
		return 1
	}
	return (length + together - 1) / together
}

func TestSegments(t *testing.T) {
	for text, want := range map[string]int{
		strings.Repeat("å", 160):       1,
		strings.Repeat("å", 161):       2,
		strings.Repeat("€", 80):        1,
		strings.Repeat("€", 81):        2,
		strings.Repeat("ł", 70):        1,
		strings.Repeat("ł", 134):       2,
		strings.Repeat("ł", 135):       3,
		strings.Repeat("a", 68) + "👩":  1,
		strings.Repeat("a", 69) + "👩":  2,
		strings.Repeat("a", 306):       2,
		strings.Repeat("a", 306) + "!": 3,
	} {
		if got := segments(text); got != want {
			t.Errorf("%d characters of %.4s: %d; want %d", len([]rune(text)), text, got, want)
		}
	}
}
