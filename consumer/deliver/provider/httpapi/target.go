package httpapi

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"text/template"
	"text/template/parse"

	"github.com/meddela/meddela/consumer/outbound"
)

// target is where requests go: always to the same URL, or to one whose path and
// query are made of the message.
type target struct {
	origin string   // scheme, host and port
	host   string   // host and port
	fixed  *url.URL // nil where there is a template
	rest   *template.Template
}

var (
	errOrigin   = errors.New("scheme, host and port must be literal: https://HOST/…")
	errFragment = errors.New("must not have a fragment (#)")
	errPath     = errors.New("the request's URL cannot be made of this message")
)

func newTarget(text string) (*target, error) {
	origin, rest, err := splitURL(text)
	if err != nil {
		return nil, err
	}
	u, err := outbound.ParseURL(origin)
	if err != nil {
		return nil, err
	}
	t := &target{origin: origin, host: u.Host}
	if !strings.Contains(rest, "{{") {
		t.fixed, err = outbound.ParseURL(origin + rest)
		return t, err
	}
	if t.rest, err = compile("url", rest); err != nil {
		return nil, err
	}
	for _, one := range t.rest.Templates() {
		escapeActions(one.Tree.Root)
	}
	return t, t.try()
}

// splitURL parts what no template may touch from the path and the query.
func splitURL(text string) (origin, rest string, err error) {
	scheme, behind, ok := strings.Cut(text, "://")
	if !ok {
		return "", "", errOrigin
	}
	host := behind
	if i := strings.IndexAny(behind, "/?#"); i >= 0 {
		host, rest = behind[:i], behind[i:]
	}
	origin = scheme + "://" + host
	switch {
	case strings.Contains(origin, "{{"):
		return "", "", errOrigin
	case strings.HasPrefix(rest, "#"):
		return "", "", errFragment
	case !strings.HasPrefix(rest, "/"):
		rest = "/" + rest
	}
	return origin, rest, nil
}

// try makes a URL of hostile texts.
func (t *target) try() error {
	_, err := t.make(sample("a"))
	if err == nil {
		_, err = t.make(sample(hostile + "/../?x=1#y%"))
	}
	return err
}

// make returns the URL for a message.
func (t *target) make(data *Data) (*url.URL, error) {
	if t.fixed != nil {
		return t.fixed, nil
	}
	var b strings.Builder
	if err := t.rest.Execute(&b, data); err != nil {
		return nil, errPath
	}
	rest := b.String()
	path, _, _ := strings.Cut(rest, "?")
	if !isPlain(rest) || hasDots(path) {
		return nil, errPath
	}
	u, err := url.Parse(t.origin + rest)
	if err != nil || u.Host != t.host || u.User != nil {
		return nil, errPath
	}
	return u, nil
}

// isPlain reports whether a URL's path and query are visible ASCII, without a
// fragment.
func isPlain(s string) bool {
	return strings.HasPrefix(s, "/") && !strings.ContainsFunc(s, func(c rune) bool {
		return c <= ' ' || c >= 0x7f || c == '#' || c == '\\'
	})
}

// hasDots reports whether a path has segments that lead out of it.
func hasDots(path string) bool {
	return strings.Contains(path, "/./") || strings.Contains(path, "/../") ||
		strings.HasSuffix(path, "/.") || strings.HasSuffix(path, "/..")
}

// escaper is the name of the function that every value in a URL goes through.
const escaper = "urlquery"

// escapeActions adds the escaper to every action of a template that writes
// something, unless it ends with it.
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

// escape writes values so that they mean themselves in a path, in a query and in
// a form.
func escape(values ...any) string {
	return strings.ReplaceAll(url.QueryEscape(fmt.Sprint(values...)), "+", "%20")
}

var (
	errOwnTarget  = errors.New("the template's target is no http or https URL")
	errNoTarget   = errors.New("the provider has no URL, and the message no target of its own")
	errHost       = errors.New("the template's target is on a host that the provider's hosts do not name")
	errCleartext  = errors.New("the template's target is http, and the provider's credentials need https")
	errHostSyntax = errors.New("use a host (hooks.example.com), one with its port, or *. before a domain")
)

// ownTarget reads the target that a message's template names.
func ownTarget(text string, hosts []string) (*url.URL, error) {
	u, err := outbound.ParseURL(text)
	switch {
	case err != nil:
		return nil, errOwnTarget
	case len(hosts) > 0 && !slices.ContainsFunc(hosts, func(pattern string) bool { return hostFits(u, pattern) }):
		return nil, errHost
	}
	return u, nil
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
			return nil, fmt.Errorf("hosts: %q: %w", patterns[i], errHostSyntax)
		}
		checked[i] = pattern
	}
	return checked, nil
}
