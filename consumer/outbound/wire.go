package outbound

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync/atomic"
)

// wire is a connection that knows how much was written to it, and can be barred
// from further writing.
type wire struct {
	net.Conn
	written atomic.Int64
	barred  atomic.Bool
}

var errBarred = errors.New("outbound: the connection takes no more requests")

// Write counts before it writes, and takes back what was not written, so that
// nothing is ever written without being counted.
func (w *wire) Write(p []byte) (int, error) {
	if w.barred.Load() {
		return 0, errBarred
	}
	w.written.Add(int64(len(p)))
	n, err := w.Conn.Write(p)
	if n < len(p) {
		w.written.Add(int64(n - len(p)))
	}
	return n, err
}

type wireDialer struct{ net.Dialer }

func (d *wireDialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := d.Dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &wire{Conn: c}, nil
}

// wireOf finds the wire under a connection of net/http. shared tells whether
// several requests use the connection at once, as those of HTTP/2 do.
func wireOf(c net.Conn) (w *wire, shared bool) {
	for {
		t, ok := c.(*tls.Conn)
		if !ok {
			break
		}
		shared = shared || t.ConnectionState().NegotiatedProtocol == "h2"
		c = t.NetConn()
	}
	w, _ = c.(*wire)
	return w, shared
}
