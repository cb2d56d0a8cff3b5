package simulation

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/meddela/meddela/cmd/meddela/internal/connect"
)

// network is that of one simulation, all in memory.
type network struct {
	kfake.VirtualNetwork
	mu   sync.Mutex
	next int // port that is free
}

// Listen is net.Listen.
func (n *network) Listen(kind, address string) (net.Listener, error) {
	if _, port, _ := net.SplitHostPort(address); port == "0" {
		n.mu.Lock()
		n.next++
		address = "127.0.0.1:" + strconv.Itoa(20000+n.next)
		n.mu.Unlock()
	}
	return n.VirtualNetwork.Listen(kind, address)
}

// DialContext connects. What a server answers is kept until it is read: it may answer the first of many requests while
// the others are still being written.
func (n *network) DialContext(ctx context.Context, kind, address string) (net.Conn, error) {
	return n.dial(ctx, kind, address)
}

func (n *network) dial(ctx context.Context, kind, address string) (*buffered, error) {
	conn, err := n.VirtualNetwork.DialContext(ctx, kind, address)
	if err != nil {
		return nil, err
	}
	c := &buffered{Conn: conn, news: make(chan struct{}, 1)}
	go c.fill()
	return c, nil
}

type buffered struct {
	net.Conn
	news chan struct{}

	mu       sync.Mutex
	data     []byte
	err      error
	deadline time.Time
}

func (c *buffered) fill() {
	b := make([]byte, 16<<10)
	for {
		n, err := c.Conn.Read(b)
		c.mu.Lock()
		c.data, c.err = append(c.data, b[:n]...), cmp.Or(c.err, err)
		c.mu.Unlock()
		c.tell()
		if err != nil {
			return
		}
	}
}

// unplug ends the connection on this side only, as when a machine or the network is gone: the server learns of it a
// minute later. The embedded broker would keep a member whose connection ends while it joins for ever.
func (c *buffered) unplug() {
	c.mu.Lock()
	c.data, c.err = nil, errCut
	c.mu.Unlock()
	c.tell()
	time.AfterFunc(time.Minute, func() { _ = c.Conn.Close() })
}

func (c *buffered) tell() {
	select {
	case c.news <- struct{}{}:
	default:
	}
}

func (c *buffered) Read(b []byte) (int, error) {
	for {
		c.mu.Lock()
		n, err, deadline := copy(b, c.data), c.err, c.deadline
		if c.data = c.data[n:]; n == 0 && err != nil {
			c.tell() // the next one who reads
		}
		c.mu.Unlock()
		switch {
		case n > 0:
			return n, nil
		case err != nil:
			return 0, err
		case deadline.IsZero():
			<-c.news
			continue
		case !time.Now().Before(deadline):
			return 0, os.ErrDeadlineExceeded
		}
		timer := time.NewTimer(time.Until(deadline))
		select {
		case <-c.news:
		case <-timer.C:
		}
		timer.Stop()
	}
}

func (c *buffered) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	c.deadline = t
	c.mu.Unlock()
	c.tell()
	return nil
}

func (c *buffered) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// server is what a process talks to.
type server int

const (
	kafkaServer server = iota
	redisServer
	servers
)

// link is a process's way to the servers, and what is wrong with it.
type link struct {
	network *network

	mu      sync.Mutex
	conns   map[*conn]bool
	dead    bool // the process was killed
	cut     [servers]bool
	held    [servers]chan struct{} // closed when what is held goes on; nil while nothing is
	latency [servers]time.Duration
	points  []*point // where the process is to be killed
	kill    func()
}

func newLink(n *network) *link {
	return &link{network: n, conns: make(map[*conn]bool)}
}

var errCut = errors.New("the network is cut")

func (l *link) dial(to server) connect.Dial {
	return func(ctx context.Context, kind, address string) (net.Conn, error) {
		c := &conn{link: l, to: to, closed: make(chan struct{})}
		if err := l.wait(c, time.Now().Add(time.Minute)); err != nil {
			return nil, err
		}
		var err error
		if c.buffered, err = l.network.dial(ctx, kind, address); err != nil {
			return nil, err
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.dead || l.cut[to] {
			_ = c.Conn.Close()
			return nil, errCut
		}
		l.conns[c] = true
		return c, nil
	}
}

// wait waits while the way to a server is held.
func (l *link) wait(c *conn, deadline time.Time) error {
	for {
		l.mu.Lock()
		held, broken, latency := l.held[c.to], l.dead || l.cut[c.to], l.latency[c.to]
		l.mu.Unlock()
		switch {
		case broken:
			return errCut
		case held == nil:
			time.Sleep(latency)
			return nil
		}
		var late <-chan time.Time
		if !deadline.IsZero() {
			timer := time.NewTimer(time.Until(deadline))
			defer timer.Stop()
			late = timer.C
		}
		select {
		case <-held:
		case <-c.closed:
			return net.ErrClosed
		case <-late:
			return os.ErrDeadlineExceeded
		}
	}
}

// drop breaks the connections to a server.
func (l *link) drop(to server) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		if c.to == to {
			c.unplug()
			delete(l.conns, c)
		}
	}
}

func (l *link) setCut(to server, cut bool) {
	l.mu.Lock()
	l.cut[to] = cut
	l.mu.Unlock()
	if cut {
		l.drop(to)
	}
}

func (l *link) hold(to server, hold bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if hold && l.held[to] == nil {
		l.held[to] = make(chan struct{})
	} else if !hold && l.held[to] != nil {
		close(l.held[to])
		l.held[to] = nil
	}
}

func (l *link) slow(to server, by time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.latency[to] = by
}

// die makes the link useless for good.
func (l *link) die() {
	l.mu.Lock()
	l.dead = true
	l.mu.Unlock()
	for to := range servers {
		l.hold(to, false)
		l.drop(to)
	}
}

func (l *link) isDead() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dead
}

// point is a moment at which a process is killed: when it has asked for something so many times more, before that is
// done, or after it was done and before the answer has come.
type point struct {
	what  string
	after bool
	more  atomic.Int64
	met   chan struct{} // closed when it has come to that
}

// at is told of each moment, and reports whether the process is to die, now that it asks or when the answer comes.
func (l *link) at(what string) (before, after bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.points {
		if p.what != what {
			continue
		}
		if p.more.Add(-1) == 0 {
			close(p.met)
			before, after = before || !p.after, after || p.after
		}
	}
	return before, after
}

// conn is a connection of a process.
type conn struct {
	*buffered
	link   *link
	to     server
	closed chan struct{}
	once   sync.Once

	left  int  // bytes of the request of Kafka that are still to be written
	fatal bool // the process dies when the answer comes

	mu          sync.Mutex
	read, write time.Time // deadlines
}

func (c *conn) Write(b []byte) (int, error) {
	if err := c.link.wait(c, c.deadline(&c.write)); err != nil {
		return 0, err
	}
	for _, what := range c.asked(b) {
		before, after := c.link.at(what)
		if before {
			c.link.kill()
			return 0, errCut
		}
		if after {
			c.mu.Lock()
			c.fatal = true
			c.mu.Unlock()
		}
	}
	return c.buffered.Write(b)
}

func (c *conn) Read(b []byte) (int, error) {
	n, err := c.buffered.Read(b)
	if waited := c.link.wait(c, c.deadline(&c.read)); waited != nil {
		return 0, waited
	}
	c.mu.Lock()
	fatal := c.fatal
	c.mu.Unlock()
	if fatal && n > 0 {
		c.link.kill()
		return 0, errCut
	}
	return n, err
}

func (c *conn) Close() error {
	c.once.Do(func() { close(c.closed) })
	c.link.mu.Lock()
	defer c.link.mu.Unlock()
	if !c.link.conns[c] {
		return nil
	}
	delete(c.link.conns, c)
	return c.Conn.Close()
}

func (c *conn) deadline(d *time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return *d
}

func (c *conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

func (c *conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	c.read = t
	c.mu.Unlock()
	return c.buffered.SetReadDeadline(t)
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	c.write = t
	c.mu.Unlock()
	return c.buffered.SetWriteDeadline(t)
}

// asked says what the bytes ask of the server, in words of a point.
func (c *conn) asked(b []byte) (points []string) {
	if c.to == redisServer {
		for _, command := range commands {
			if command.is(b) {
				points = append(points, command.what)
			}
		}
		return points
	}
	const lengthBytes = 4
	for len(b) > 0 {
		if c.left == 0 {
			if len(b) < lengthBytes+2 {
				return points
			}
			c.left = lengthBytes + int(binary.BigEndian.Uint32(b))
			key := kmsg.Key(binary.BigEndian.Uint16(b[lengthBytes:]))
			what := key.Name()
			if key == kmsg.Produce {
				for _, topic := range []string{".jobs", ".delivery-log", ".delay.", ".paused", ".dead-letters"} {
					if bytes.Contains(b, []byte(topic)) {
						points = append(points, what+" "+strings.Trim(topic, "."))
					}
				}
			} else {
				points = append(points, what)
			}
		}
		n := min(c.left, len(b))
		c.left, b = c.left-n, b[n:]
	}
	return points
}

// commands are what Redis is asked, by what is in the bytes.
var commands = []struct {
	what string
	is   func([]byte) bool
}{
	{"claim", func(b []byte) bool { return bytes.Contains(b, []byte("meddela:claim:")) && !settles(b) }},
	{"settle", func(b []byte) bool { return bytes.Contains(b, []byte("meddela:claim:")) && settles(b) }},
	{"merge", func(b []byte) bool {
		return bytes.Contains(b, []byte("meddela:event:")) && !bytes.Contains(b, []byte("hgetall"))
	}},
	{"position", func(b []byte) bool { return bytes.Contains(b, []byte("meddela:position:")) }},
	{"suppressions", func(b []byte) bool { return bytes.Contains(b, []byte("meddela:suppressions:")) }},
}

func settles(b []byte) bool {
	return bytes.Contains(b, []byte("final\t")) || bytes.Contains(b, []byte("retry\t"))
}
