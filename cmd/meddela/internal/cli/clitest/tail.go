package clitest

import (
	"strings"
	"sync"
	"testing"
)

// Word is the word behind a label.
func Word(t *testing.T, text, label string) string {
	t.Helper()
	_, rest, _ := strings.Cut(text, label)
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		t.Fatalf("nothing behind %q in:\n%s", label, text)
	}
	return fields[0]
}

// Tail is output that is waited for.
type Tail struct {
	mu   sync.Mutex
	text strings.Builder
	more chan struct{}
}

// NewTail returns a Tail without output.
func NewTail() *Tail { return &Tail{more: make(chan struct{}, 1)} }

func (o *Tail) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	select {
	case o.more <- struct{}{}:
	default:
	}
	return o.text.Write(b)
}

// Await returns the output once it has the wanted text.
func (o *Tail) Await(t *testing.T, want string) string {
	t.Helper()
	for {
		o.mu.Lock()
		text := o.text.String()
		o.mu.Unlock()
		if strings.Contains(text, want) {
			return text
		}
		select {
		case <-o.more:
		case <-t.Context().Done():
			t.Fatalf("the output never had %q:\n%s", want, text)
		}
	}
}
