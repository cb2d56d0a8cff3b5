package httpapi

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"text/template"
	"text/template/parse"

	"github.com/meddela/meddela/consumer/outbound"
)

// target is where requests go: always to the same URL, or to one whose path and query are made of the message.
type target struct {
	origin string             // scheme, host and port
	base   *url.URL           // all of it if rest is nil, otherwise the origin
	rest   *template.Template // of path and query
}

var errPath = errors.New("the request's URL cannot be made of this message")

func newTarget(text string) (*target, error) {
	scheme, host, ok := strings.Cut(text, "://")
	rest := "/"
	if i := strings.IndexAny(host, "/?#"); i >= 0 {
		host, rest = host[:i], host[i:]
	}
	switch {
	case !ok || strings.Contains(scheme+host, "{{"):
		return nil, errors.New("scheme, host and port must be literal: https://HOST/…")
	case rest[0] == '#':
		return nil, errors.New("must not have a fragment (#)")
	case rest[0] == '?':
		rest = "/" + rest
	}
	t := &target{origin: scheme + "://" + host}
	var err error
	if !strings.Contains(rest, "{{") {
		t.base, err = outbound.ParseURL(t.origin + rest)
		return t, err
	}
	if t.base, err = outbound.ParseURL(t.origin); err != nil {
		return nil, err
	}
	if t.rest, err = compile("url", rest); err != nil {
		return nil, err
	}
	for _, one := range t.rest.Templates() {
		escapeActions(one.Tree.Root)
	}
	for _, text := range []string{"a", hostile + "/../?x=1#y%"} {
		if _, err := t.make(sample(text)); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (t *target) make(data *Data) (*url.URL, error) {
	if t.rest == nil {
		return t.base, nil
	}
	var b strings.Builder
	if err := t.rest.Execute(&b, data); err != nil {
		return nil, errPath
	}
	rest := b.String()
	path, _, _ := strings.Cut(rest, "?")
	for step := range strings.SplitSeq(path, "/") {
		if step == "." || step == ".." {
			return nil, errPath
		}
	}
	u, err := url.Parse(t.origin + rest)
	if err != nil || u.Host != t.base.Host || u.User != nil || !isPlain(rest) {
		return nil, errPath
	}
	return u, nil
}

// isPlain reports whether a URL's path and query are visible ASCII, without a fragment.
func isPlain(s string) bool {
	return strings.HasPrefix(s, "/") && !strings.ContainsFunc(s, func(c rune) bool {
		return c <= ' ' || c >= 0x7f || c == '#' || c == '\\'
	})
}

// escaper is the name of the function that every value in a URL goes through.
const escaper = "urlquery"

// escapeActions adds the escaper to every action of a template that writes something, unless it ends with it.
func escapeActions(node parse.Node) {
	switch n := node.(type) {
	case *parse.ListNode:
		if n == nil {
			return
		}
		for _, one := range n.Nodes {
			escapeActions(one)
		}
	case *parse.ActionNode:
		if len(n.Pipe.Decl) == 0 && !endsEscaped(n.Pipe) {
			n.Pipe.Cmds = append(n.Pipe.Cmds, &parse.CommandNode{
				NodeType: parse.NodeCommand, Pos: n.Pos, Args: []parse.Node{parse.NewIdentifier(escaper).SetPos(n.Pos)},
			})
		}
	case *parse.IfNode:
		escapeActions(&n.BranchNode)
	case *parse.RangeNode:
		escapeActions(&n.BranchNode)
	case *parse.WithNode:
		escapeActions(&n.BranchNode)
	case *parse.BranchNode:
		escapeActions(n.List)
		escapeActions(n.ElseList)
	}
}

func endsEscaped(p *parse.PipeNode) bool {
	last := p.Cmds[len(p.Cmds)-1]
	name, ok := last.Args[0].(*parse.IdentifierNode)
	return ok && name.Ident == escaper
}

// escape writes values so that they mean themselves in a path, in a query and in a form.
func escape(values ...any) string {
	return strings.ReplaceAll(url.QueryEscape(fmt.Sprint(values...)), "+", "%20")
}

func hostFits(u *url.URL, pattern string) bool {
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	if domain, ok := strings.CutPrefix(pattern, "*"); ok {
		return strings.HasSuffix(host, domain) && len(host) > len(domain)
	}
	return host == pattern || host+":"+u.Port() == pattern
}

// checkHosts puts patterns in the form that hostFits compares.
func checkHosts(patterns []string) ([]string, error) {
	checked := make([]string, len(patterns))
	for i, pattern := range patterns {
		pattern = strings.ToLower(pattern)
		name, wild := strings.CutPrefix(pattern, "*.")
		u, err := outbound.ParseURL("https://" + name)
		if err != nil || u.Host != name || strings.Contains(name, "*") || wild && u.Port() != "" {
			return nil, fmt.Errorf(
				"hosts: %q: use a host (hooks.example.com), one with its port, or *. before a domain", patterns[i])
		}
		checked[i] = pattern
	}
	return checked, nil
}
