package smtp

import (
	"sync"
	"time"
)

// pool keeps connections that have no message to send. The last one that
// came back goes out first, so that those that are too many become idle.
type pool struct {
	limit int
	idle  time.Duration

	mu    sync.Mutex
	conns []pooledConn
}

type pooledConn struct {
	*session
	timer *time.Timer
}

// take returns a connection, or nil when there is none.
func (p *pool) take() *session {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.conns)
	if n == 0 {
		return nil
	}
	last := p.conns[n-1]
	p.conns[n-1] = pooledConn{}
	p.conns = p.conns[:n-1]
	last.timer.Stop()
	return last.session
}

// put keeps a connection until it is taken or has been idle for too long.
func (p *pool) put(conn *session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.conns) >= p.limit {
		conn.drop()
		return
	}
	p.conns = append(p.conns, pooledConn{
		session: conn,
		timer:   time.AfterFunc(p.idle, func() { p.closeIdle(conn) }),
	})
}

func (p *pool) closeIdle(conn *session) {
	if p.remove(conn) {
		conn.quit()
	}
}

// remove reports whether the connection was still there.
func (p *pool) remove(conn *session) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.conns {
		if p.conns[i].session == conn {
			p.conns = append(p.conns[:i], p.conns[i+1:]...)
			return true
		}
	}
	return false
}

func (p *pool) closeAll() {
	for conn := p.take(); conn != nil; conn = p.take() {
		conn.quit()
	}
}
