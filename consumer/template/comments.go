package template

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
	"text/template/parse"
)

// Outlook reads comments: <!--[if mso]>…<![endif]--> is there for it alone, and what stands between
// <!--[if !mso]><!--> and <!--<![endif]--> for everybody else. html/template would drop both, and escape what
// else is markup and no tag. So while it looks at a part, each mark is a sign that is text to it: what
// stands between marks is escaped as the HTML that it is. Then no value has a "<" or a ">" of its own.

// markup finds marks. One that html/template reads as the end of a comment ends in "-->".
var markup = regexp.MustCompile(`(?i)` +
	`(?P<shows><!--\s*\[if\b[^\]<>]*\]\s*>\s*(?:<!--(?:-?|\s*--)>|-->)|` +
	`<!--\s*\[if\s*!\s*[^\]<>]*\]\s*>\s*<!--[^<>]*-->)|` +
	`(?P<hides><!--\s*\[if\b[^\]<>]*\]\s*>)|` +
	`(?P<broken><!--\s*\[\s*if\b)|` +
	`(?P<ends>(?:<!--[^<>]*)?<!\[endif\s*\]\s*-->)|` +
	`<!\[if\b[^\]<>]*\]\s*>|<!\[endif\s*\]\s*>|<!\[CDATA\[|<\?xml\b[^<>]*>`)

// mark is one that stands in a source. Its kind is the name of its group in markup.
type mark struct {
	kind, text string
	at         *place
}

// noCharacter is one that Unicode keeps out of texts.
const noCharacter = "\ufdd0"

// sign puts signs in place of the marks in a text.
func (b *builder) sign(n *parse.TextNode) {
	n.Text = bytes.ReplaceAll(n.Text, []byte(noCharacter), nil)
	var signed []byte
	end := 0
	for _, m := range markup.FindAllSubmatchIndex(n.Text, -1) {
		one := mark{text: string(n.Text[m[0]:m[1]]), at: b.place(n.Pos+parse.Pos(m[0]), "")}
		for group, name := range markup.SubexpNames() {
			if m[2*group] >= 0 {
				one.kind = name
			}
		}
		signed = append(append(signed, n.Text[end:m[0]]...), "<"+noCharacter+strconv.Itoa(len(b.marks))+";"+one.tail()...)
		b.marks, end = append(b.marks, one), m[1]
	}
	n.Text = append(signed, n.Text[end:]...)
}

// tail is how html/template sees a comment's end in the mark, which may be one that is dropped.
func (m *mark) tail() string {
	if strings.HasSuffix(m.text, commentEnd) {
		return commentEnd
	}
	return ""
}

const commentEnd = "-->"

// signs finds them in what html/template has escaped: with "&lt;" those that are text to it.
var signs = regexp.MustCompile("(&lt;|<)" + noCharacter + "([0-9]+);")

// marked builds a text that may have signs.
func (b *builder) marked(n *parse.TextNode) step {
	var steps []step
	write := func(text string) {
		if text != "" {
			steps = append(steps, func(r *rendering) jump { return r.write(text) })
		}
	}
	rest := string(n.Text)
	for {
		at := signs.FindStringSubmatchIndex(rest)
		if at == nil {
			break
		}
		i, _ := strconv.Atoi(rest[at[4]:at[5]])
		m, isText := &b.marks[i], rest[at[0]] == '&'
		write(rest[:at[0]])
		rest = strings.TrimPrefix(rest[at[1]:], m.tail())
		if m.kind == "" {
			write(m.text)
		} else {
			steps = append(steps, b.comment(m, isText))
		}
	}
	write(rest)
	if len(steps) == 1 {
		return steps[0]
	}
	return func(r *rendering) jump { return r.do(steps) }
}

// comment builds a mark of a conditional comment.
func (b *builder) comment(m *mark, isText bool) step {
	switch {
	case m.kind == "broken":
		b.fail(m.at.at, "a conditional comment is not whole: write it without values, as <!--[if mso]>")
	case !isText:
		b.misplaced(m)
	case m.kind == "ends":
		b.within = outside
		return func(r *rendering) jump {
			r.at = m.at
			hidden := r.out[max(r.comment, 0):]
			refuse(r.comment >= 0 && (bytes.Contains(hidden, []byte(commentEnd)) || bytes.Contains(hidden, []byte("--!>"))),
				"something in the conditional comment that ends here ends it before, such as -- in a value before a >: "+
					"put attributes' values into quotes")
			r.comment = none
			return r.write(m.text)
		}
	case b.within != outside:
		b.fail(m.at.at, "a conditional comment begins in another, which it would end: end that one before")
	case m.kind == "hides":
		b.within = inside
	}
	return func(r *rendering) jump {
		r.at = m.at
		refuse(r.comment >= 0, "a conditional comment begins in another, around what includes this")
		r.write(m.text)
		if m.kind == "hides" {
			r.comment = len(r.out)
		}
		return next
	}
}

func (s *treeSet) misplaced(m *mark) {
	s.fail(m.at.source, m.at.at, strconv.Quote(m.text)+" stands within a tag, a script or a style: put it between tags")
}

// quotedSign is one in an error of html/template.
var quotedSign = regexp.MustCompile(`\\ufdd0([0-9]+);`)

// none is where no conditional comment has begun.
const none = -1
