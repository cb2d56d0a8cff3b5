package outbound

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"time"
)

// flight is what is known of a request while net/http has it.
type flight struct {
	notAfter time.Time
	cancel   context.CancelFunc

	// net/http reports from several goroutines.
	encrypting  atomic.Bool // a handshake has begun for it
	interrupted atomic.Bool // writing failed before the end

	mu        sync.Mutex
	connected bool
	reused    bool
	shared    bool // other requests use the connection at the same time
	wire      *wire
	before    int64 // that had been written to the wire
	expired   bool
}

var errMayBeHandled = errors.New("outbound: the target may have the request")

func (f *flight) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GotConn:           f.gotConn,
		TLSHandshakeStart: func() { f.encrypting.Store(true) },
		// It is called when a request has been handed to the connection, which may be
		// before its last bytes are written. An error means that they never are.
		WroteRequest: func(info httptrace.WroteRequestInfo) {
			if info.Err != nil {
				f.interrupted.Store(true)
			}
		},
	}
}

// gotConn is called before anything is written to the connection. An expired request is stopped here: a connection of
// its own is barred, and HTTP/2 looks at the context before it writes headers.
func (f *flight) gotConn(info httptrace.GotConnInfo) {
	w, shared := wireOf(info.Conn)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.interrupted.Store(false)
	f.connected, f.reused, f.shared, f.wire = true, info.Reused, shared, w
	if w != nil {
		f.before = w.written.Load()
	}
	if f.notAfter.IsZero() || time.Now().Before(f.notAfter) {
		return
	}
	f.expired = true
	if w != nil && !shared {
		w.barred.Store(true)
	}
	f.cancel()
}

// again reports whether net/http may repeat the request. Over HTTP/2 it asks only
// if the target refused the stream, or went away before it got to it.
func (f *flight) again() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.expired || !f.shared && f.mayBeHandled() {
		return errMayBeHandled
	}
	return nil
}

// mayBeHandled reports whether the target can have had the whole request, of
// which there has been no answer. The connection has been closed, or is shared.
func (f *flight) mayBeHandled() bool {
	switch {
	case !f.connected, f.expired:
		return false
	case f.shared, f.wire == nil:
		return true
	case f.interrupted.Load():
		return false
	}
	return f.wire.written.Load() != f.before
}

// kind says what an error of net/http means.
func (f *flight) kind(err error) Kind {
	f.mu.Lock()
	defer f.mu.Unlock()
	op, isOp := errors.AsType[*net.OpError](err)
	switch {
	case f.expired:
		return Expired
	case is[blocked](err):
		return Blocked
	case is[*net.DNSError](err):
		return Unresolved
	case !f.connected && isOp && op.Op == "dial":
		return Unreachable
	case !f.connected && (f.encrypting.Load() || isTLS(err)):
		return Insecure
	case !f.connected:
		return Unreachable
	case isOp && op.Op == "remote error" && !f.reused:
		// With TLS 1.3 a target refuses our certificate after the handshake, and before it looks at any request.
		return Insecure
	case !f.mayBeHandled():
		return Broken
	}
	return Unanswered
}

func isTLS(err error) bool {
	return is[*tls.CertificateVerificationError](err) || is[tls.RecordHeaderError](err) || is[tls.AlertError](err)
}

// wire is a connection that knows how much was written to it, and can be barred from further writing.
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

// wired makes connections that are wires.
func wired(d *net.Dialer) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := d.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &wire{Conn: c}, nil
	}
}

// wireOf finds the wire under a connection of net/http. shared reports whether
// several requests use the connection at once, as those of HTTP/2 do.
func wireOf(c net.Conn) (w *wire, shared bool) {
	for t, ok := c.(*tls.Conn); ok; t, ok = c.(*tls.Conn) {
		shared = shared || t.ConnectionState().NegotiatedProtocol == "h2"
		c = t.NetConn()
	}
	w, _ = c.(*wire)
	return w, shared
}
