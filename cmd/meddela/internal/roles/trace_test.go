package roles

import "testing"

func TestTraceEndpoint(t *testing.T) {
	for text, want := range map[string]string{
		"http://c:4318": "http://c:4318/v1/traces", "https://c/": "https://c/v1/traces",
		"http://c:4318/otlp": "http://c:4318/otlp",
		"c:4318":             "", "ftp://c": "", "http://": "",
	} {
		if got, err := endpoint(text); got != want || (err != nil) != (want == "") {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
}
