package template_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// element is what a browser would make of a tag.
type element struct {
	name       string
	attributes map[string]string
}

func elements(t *testing.T, source string) []element {
	t.Helper()
	var found []element
	z := html.NewTokenizer(strings.NewReader(source))
	for {
		switch z.Next() {
		case html.ErrorToken:
			if !errors.Is(z.Err(), io.EOF) {
				t.Fatal(z.Err())
			}
			return found
		case html.StartTagToken, html.SelfClosingTagToken:
			token := z.Token()
			e := element{token.Data, make(map[string]string)}
			for _, a := range token.Attr {
				e.attributes[a.Key] = a.Val
			}
			found = append(found, e)
		case html.CommentToken:
			found = append(found, element{name: "a comment"})
		}
	}
}
