package template

import (
	"strconv"
	"text/template/parse"
)

// isRead tells whether a node reads data.
func isRead(n parse.Node) bool {
	switch n.Type() {
	case parse.NodeField, parse.NodeVariable, parse.NodeChain, parse.NodeDot:
		return true
	}
	return false
}

// called returns the function that a command calls.
func called(c *parse.CommandNode) (name string, ok bool) {
	if id, ok := c.Args[0].(*parse.IdentifierNode); ok {
		return id.Ident, true
	}
	return "", false
}

func identifier(name string, at parse.Pos) *parse.IdentifierNode {
	return parse.NewIdentifier(name).SetPos(at)
}

func call(at parse.Pos, name string, args ...parse.Node) *parse.CommandNode {
	return &parse.CommandNode{
		NodeType: parse.NodeCommand,
		Pos:      at,
		Args:     append([]parse.Node{identifier(name, at)}, args...),
	}
}

// nest makes a command that stands as an argument.
func nest(at parse.Pos, words ...parse.Node) *parse.PipeNode {
	command := &parse.CommandNode{NodeType: parse.NodeCommand, Pos: at, Args: words}
	return &parse.PipeNode{NodeType: parse.NodePipe, Pos: at, Cmds: []*parse.CommandNode{command}}
}

func number64(n int, at parse.Pos) *parse.NumberNode {
	return &parse.NumberNode{NodeType: parse.NodeNumber, Pos: at, IsInt: true, Int64: int64(n), Text: strconv.Itoa(n)}
}
