package nearest

import (
	"testing"
)

func TestDistance(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"abc", "abc", 0}, {"", "abc", 3}, {"abc", "", 3},
		{"abc", "abd", 1}, {"abc", "acb", 1}, {"abc", "ab", 1}, {"abc", "xabc", 1},
		{"kitten", "sitting", 3}, {"PASWORD", "PASSWORD", 1},
	} {
		if got := distance(test.a, test.b); got != test.want {
			t.Errorf("distance(%q, %q) = %d, want %d", test.a, test.b, got, test.want)
		}
		if got := distance(test.b, test.a); got != test.want {
			t.Errorf("distance(%q, %q) = %d, want %d", test.b, test.a, got, test.want)
		}
	}
}

func TestWord(t *testing.T) {
	known := []string{"publish", "status", "topics", "order_confirmation"}
	for _, test := range []struct{ word, want string }{
		{"statsu", "status"}, {"topic", "topics"}, {"order_confirmation_business", "order_confirmation"}, {"zzz", ""},
		{"", ""},
	} {
		if got := Word(test.word, known); got != test.want {
			t.Errorf("nearest(%q) = %q, want %q", test.word, got, test.want)
		}
	}
	if got := DidYouMean("statsu", known) + DidYouMean("zzz", known); got != ": did you mean status?" {
		t.Errorf("hints %q", got)
	}
}
