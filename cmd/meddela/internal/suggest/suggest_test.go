package suggest

import "testing"

func TestNearest(t *testing.T) {
	known := []string{"order_confirmation", "password_reset", "email", "sms"}
	for word, want := range map[string]string{
		"email": "email", "emial": "email", "mail": "email", "sm": "", "smss": "sms", "fax": "",
		"order_confirmation_business": "order_confirmation", "pasword_rest": "password_reset", "": "",
	} {
		if got := Nearest(word, known); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
	if hint := DidYouMean("emial", known); hint != ": did you mean email?" {
		t.Error(hint)
	}
	if hint := DidYouMean("pigeon", known); hint != "" {
		t.Error(hint)
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"abc", "abd", 1}, {"abc", "acb", 1}, {"abc", "bc", 1}, {"kitten", "sitting", 3}} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("%q to %q: %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
