package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

func TestSecretIsNeverShown(t *testing.T) {
	const text = "hunter2"
	c := RedisSettings{Password: text}
	var shown bytes.Buffer
	for _, verb := range []string{"%s", "%v", "%+v", "%#v", "%q", "%x", "%X", "%d", "%t"} {
		fmt.Fprintf(&shown, verb+" "+verb+"\n", c.Password, &c)
	}
	fmt.Fprintln(&shown, c.Password, c)
	encoded, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	shown.Write(encoded)
	log := zerolog.New(&shown)
	log.Info().Stringer("a", c.Password).Any("b", c.Password).Any("c", c).Msgf("%v", c)

	hexText := fmt.Sprintf("%x", text)
	if s := strings.ToLower(shown.String()); strings.Contains(s, text) || strings.Contains(s, hexText) {
		t.Errorf("the secret shows in:\n%s", shown.String())
	}
	if n := strings.Count(shown.String(), Mask); n < 20 {
		t.Errorf("the mask shows %d times only:\n%s", n, shown.String())
	}
	if s := Secret("").String(); s != "" {
		t.Errorf("an empty secret shows as %q", s)
	}
}
