package embedded

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// The servers take for granted that who calls speaks their protocol. Bytes from elsewhere, such as a browser, a port
// scanner or a newer client, make them panic, which takes the process down: kfake on a request of a kind that it does
// not know, miniredis on an empty command, and both may allocate whatever length somebody claims. So the guard hangs up
// on what is not to be understood, as real servers do.

// A guard looks at what comes next, without reading it, and says how many bytes of it are in order. It may read what
// the server is not to see.
type guard func(*bufio.Reader) (int, error)

// Listen is net.Listen, or another in its place.
type Listen func(network, address string) (net.Listener, error)

// guarded also says in plain words that a port is in use, and guards every connection.
func (l Listen) guarded(next guard) Listen {
	if l == nil {
		l = net.Listen
	}
	return func(network, address string) (net.Listener, error) {
		listener, err := l(network, address)
		switch {
		case errors.Is(err, syscall.EADDRINUSE):
			return nil, fmt.Errorf("port %s is in use", address)
		case err != nil:
			return nil, fmt.Errorf("cannot listen on %s: %w", address, err)
		}
		return guardedListener{listener, next}, nil
	}
}

type guardedListener struct {
	net.Listener
	next guard
}

// Accept waits for the next connection.
func (l guardedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &guardedConn{Conn: conn, reader: bufio.NewReader(conn), next: l.next}, nil
}

// guardedConn is read as far as its guard allows.
type guardedConn struct {
	net.Conn
	reader  *bufio.Reader
	next    guard
	allowed int // bytes that are in order
}

// Read reads at most what is in order.
func (c *guardedConn) Read(p []byte) (int, error) {
	if c.allowed == 0 {
		var err error
		if c.allowed, err = c.next(c.reader); err != nil {
			return 0, err
		}
	}
	n, err := c.reader.Read(p[:min(len(p), c.allowed)])
	c.allowed -= n
	return n, err
}

const maxRequestBytes = 100 << 20 // socket.request.max.bytes of a real server

// kafkaRequest guards one request: its length, not counting the length itself, then at least a key, a version and a
// correlation id.
func kafkaRequest(r *bufio.Reader) (int, error) {
	const lengthBytes, keyBytes, leastBytes = 4, 2, 8
	head, err := r.Peek(lengthBytes + keyBytes)
	if err != nil {
		return 0, err
	}
	length := binary.BigEndian.Uint32(head)
	if length < leastBytes || length > maxRequestBytes {
		return 0, fmt.Errorf("a request of %d bytes", length)
	}
	key := int16(binary.BigEndian.Uint16(head[lengthBytes:]))
	if kmsg.RequestForKey(key) == nil {
		return 0, fmt.Errorf("a request of unknown kind %d", key)
	}
	return lengthBytes + int(length), nil
}

// redisPart guards one part of a command: the line that says how many arguments there are, or an argument with the line
// that says how long it is.
func redisPart(r *bufio.Reader) (int, error) {
	const maxArgumentBytes, maxArguments = 512 << 20, 1 << 20 // of a real server
	for {
		line, err := peekLine(r)
		if err != nil {
			return 0, err
		}
		number, err := strconv.Atoi(string(bytes.TrimSpace(line[1:])))
		switch {
		case err != nil:
		case line[0] == '$' && number >= 0 && number <= maxArgumentBytes:
			return len(line) + number + len("\r\n"), nil
		case line[0] == '*' && number > 0 && number <= maxArguments:
			return len(line), nil
		case line[0] == '*' && number <= 0: // a command of nothing
			if _, err := r.Discard(len(line)); err != nil {
				return 0, err
			}
			continue
		}
		return 0, fmt.Errorf("a command with %q", line)
	}
}

// peekLine returns a line with its end, unread. Those that make up a command are short.
func peekLine(r *bufio.Reader) ([]byte, error) {
	const longest = 32
	for n := 1; n <= longest; n++ {
		line, err := r.Peek(n)
		if err != nil || line[n-1] == '\n' {
			return line, err
		}
	}
	return nil, fmt.Errorf("a line of more than %d bytes", longest)
}
