package embedded

import (
	"fmt"
	"net"
	"strconv"
	"sync"
)

// gate is a listener on loopback that can be shut: then it breaks every
// connection, and hangs up on those who call.
type gate struct {
	net.Listener

	mu    sync.Mutex
	shut  bool
	conns map[*gatedConn]struct{}
}

// listen opens a gate on a port; 0 is any that is free.
func listen(port int) (*gate, error) {
	address := net.JoinHostPort(loopback, strconv.Itoa(port))
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w", address, err)
	}
	return &gate{Listener: listener, conns: make(map[*gatedConn]struct{})}, nil
}

// Accept waits for the next connection while the gate is open.
func (g *gate) Accept() (net.Conn, error) {
	for {
		conn, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if c, ok := g.admit(conn); ok {
			return c, nil
		}
		_ = conn.Close()
	}
}

func (g *gate) admit(conn net.Conn) (*gatedConn, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut {
		return nil, false
	}
	c := &gatedConn{Conn: conn, gate: g}
	g.conns[c] = struct{}{}
	return c, true
}

// setShut shuts or opens the gate.
func (g *gate) setShut(shut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = shut
	if !shut {
		return
	}
	for c := range g.conns {
		_ = c.Conn.Close()
	}
	clear(g.conns)
}

// gatedConn is a connection that its gate can break.
type gatedConn struct {
	net.Conn
	gate *gate
}

// Close closes the connection.
func (c *gatedConn) Close() error {
	c.gate.mu.Lock()
	delete(c.gate.conns, c)
	c.gate.mu.Unlock()
	return c.Conn.Close()
}
