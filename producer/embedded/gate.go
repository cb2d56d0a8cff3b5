package embedded

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
)

// AddressError says which address could not be listened on, and why not.
type AddressError struct {
	Addr string // host:port
	Err  error
}

func (e *AddressError) Error() string {
	if errors.Is(e.Err, syscall.EADDRINUSE) {
		return fmt.Sprintf("port %s is in use", e.Addr)
	}
	return fmt.Sprintf("cannot listen on %s: %v", e.Addr, e.Err)
}

func (e *AddressError) Unwrap() error { return e.Err }

// gate is a listener between clients and a server, for outages. Shut, it has
// broken every connection and hangs up on those who call; the port stays
// taken, so that nobody else gets it meanwhile. Stalled, it lets nothing
// through in either direction, as a server that is stopped or cut off.
type gate struct {
	net.Listener

	mu     sync.Mutex
	shut   bool
	stalls int
	flow   chan struct{} // closed while nothing stalls
	conns  map[*gatedConn]struct{}
}

// listen opens a gate on an address.
func listen(address string) (*gate, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, &AddressError{Addr: address, Err: err}
	}
	g := &gate{Listener: listener, flow: make(chan struct{}), conns: make(map[*gatedConn]struct{})}
	close(g.flow)
	return g, nil
}

// Accept waits for the next connection that the gate lets in.
func (g *gate) Accept() (net.Conn, error) {
	for {
		conn, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if c := g.admit(conn); c != nil {
			return c, nil
		}
		_ = conn.Close()
	}
}

// admit returns nil when the gate is shut.
func (g *gate) admit(conn net.Conn) *gatedConn {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut {
		return nil
	}
	c := &gatedConn{Conn: conn, gate: g, closed: make(chan struct{})}
	g.conns[c] = struct{}{}
	return c
}

// setShut shuts or opens the gate.
func (g *gate) setShut(shut bool) {
	g.mu.Lock()
	g.shut = shut
	var broken []*gatedConn
	if shut {
		for c := range g.conns {
			broken = append(broken, c)
		}
	}
	g.mu.Unlock()
	for _, c := range broken {
		_ = c.Close()
	}
}

// stall stops all traffic until resume is called. Stalls may overlap.
func (g *gate) stall() (resume func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stalls == 0 {
		g.flow = make(chan struct{})
	}
	g.stalls++
	return sync.OnceFunc(g.endStall)
}

func (g *gate) endStall() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stalls--
	if g.stalls == 0 {
		close(g.flow)
	}
}

// flowing is closed while nothing stalls.
func (g *gate) flowing() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.flow
}

// gatedConn is a connection that its gate can break or stall.
type gatedConn struct {
	net.Conn
	gate   *gate
	once   sync.Once
	closed chan struct{}
}

// Read reads what the gate lets in.
func (c *gatedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if !c.pass() {
		return 0, net.ErrClosed
	}
	return n, err
}

// Write writes what the gate lets out.
func (c *gatedConn) Write(p []byte) (int, error) {
	if !c.pass() {
		return 0, net.ErrClosed
	}
	return c.Conn.Write(p)
}

// pass waits while the gate is stalled. It returns false when the connection
// was closed meanwhile.
func (c *gatedConn) pass() bool {
	select {
	case <-c.gate.flowing():
		return true
	case <-c.closed:
		return false
	}
}

// Close closes the connection.
func (c *gatedConn) Close() error {
	err := net.ErrClosed
	c.once.Do(func() {
		close(c.closed)
		c.gate.mu.Lock()
		delete(c.gate.conns, c)
		c.gate.mu.Unlock()
		err = c.Conn.Close()
	})
	return err
}
