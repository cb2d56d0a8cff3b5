package embedded

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/segmentio/kafka-go"
)

// request is the beginning of a Kafka request without a client id.
func request(length uint32, key, version int16) []byte {
	b := binary.BigEndian.AppendUint32(nil, length)
	b = binary.BigEndian.AppendUint16(b, uint16(key))
	b = binary.BigEndian.AppendUint16(b, uint16(version))
	return append(b, 0, 0, 0, 1, 0xff, 0xff)
}

// TestWhatIsNoKafka gets hung up on, and others do not notice.
func TestWhatIsNoKafka(t *testing.T) {
	w := newKafka(t, BrokerConfig{})
	for name, bytes := range map[string][]byte{
		"unknown kind":    request(10, 9999, 0),
		"negative kind":   request(10, -1, 0),
		"unknown version": request(10, 3, 99),
		"too long":        request(maxRequestBytes+1, 3, 0),
		"too short":       request(2, 3, 0),
		"nothing in it":   request(0, 3, 0),
		"HTTP":            []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
		"TLS":             []byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
		"Redis":           []byte("*1\r\n$4\r\nPING\r\n"),
		"half a request":  request(100, 3, 0),
	} {
		hangsUp(t, name, w.broker.Addr(), bytes)
		if topics := w.topics(); len(topics) != 0 {
			t.Errorf("%s: there are %v", name, topics)
		}
	}
}

// TestWhatIsNoRedis gets hung up on, and others do not notice.
func TestWhatIsNoRedis(t *testing.T) {
	store, client := newStore(t)
	for name, text := range map[string]string{
		"HTTP":                "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"TLS":                 "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n",
		"inline":              "PING\r\n",
		"too many arguments":  "*99999999999\r\n",
		"too long":            "*1\r\n$99999999999\r\n",
		"negative length":     "*1\r\n$-1\r\n",
		"no length":           "*1\r\n$\r\n",
		"no number":           "*one\r\n",
		"a line without end":  "*" + strings.Repeat("1", 100),
		"half a command":      "*2\r\n$4\r\nPING\r\n",
		"an empty line":       "\r\n",
		"a nameless command":  "*1\r\n$0\r\n\r\n\n",
		"a number as command": ":1\r\n",
	} {
		hangsUp(t, name, store.Addr(), []byte(text))
		if err := client.Ping(t.Context()).Err(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// hangsUp checks that a server hangs up on somebody who sends this and then
// no more.
func hangsUp(t *testing.T, name, address string, sends []byte) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write(sends); err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		return // it has hung up already
	}
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	var timeout net.Error
	if _, err := io.Copy(io.Discard, conn); errors.As(err, &timeout) && timeout.Timeout() {
		t.Errorf("%s: the connection is still open", name)
	}
}

// TestEmptyCommandsAreSkipped, as Redis does.
func TestEmptyCommandsAreSkipped(t *testing.T) {
	store, _ := newStore(t)
	conn, err := net.Dial("tcp", store.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := conn.Write([]byte("*0\r\n*-1\r\n*1\r\n$4\r\nPING\r\n")); err != nil {
		t.Fatal(err)
	}
	if answer, err := bufio.NewReader(conn).ReadString('\n'); answer != "+PONG\r\n" {
		t.Errorf("the answer is %q, %v", answer, err)
	}
}

// TestGuardsPassOn what is in order, however it comes and is read.
func TestGuardsPassOn(t *testing.T) {
	kafkaBytes := append(append(request(10, 3, 0), request(14, 18, 0)...), 1, 2, 3, 4)
	redisBytes := []byte("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$6\r\n*0\r\n$1\r\n*1\r\n$4\r\nPING\r\n")
	for name, c := range map[string]struct {
		guard guard
		in    []byte
	}{
		"kafka": {kafkaRequest, kafkaBytes},
		"redis": {redisPart, redisBytes},
	} {
		for shape, in := range map[string]io.Reader{
			"at once":     bytes.NewReader(c.in),
			"in halves":   iotest.HalfReader(bytes.NewReader(c.in)),
			"byte by one": iotest.OneByteReader(bytes.NewReader(c.in)),
		} {
			got, err := io.ReadAll(&guardedConn{reader: bufio.NewReader(in), next: c.guard})
			if err != nil || !bytes.Equal(got, c.in) {
				t.Errorf("%s, %s: %q, %v", name, shape, got, err)
			}
		}
	}
}

// FuzzGuards: a guard passes on a part of what came, from the beginning, apart
// from empty commands.
func FuzzGuards(f *testing.F) {
	f.Add([]byte("*1\r\n$4\r\nPING\r\n*0\r\n"))
	f.Add(request(10, 3, 0))
	f.Fuzz(func(t *testing.T, in []byte) {
		for _, guard := range []guard{kafkaRequest, redisPart} {
			conn := &guardedConn{reader: bufio.NewReader(bytes.NewReader(in)), next: guard}
			out, _ := io.ReadAll(conn)
			if len(out) > len(in) {
				t.Errorf("%d bytes became %d", len(in), len(out))
			}
			if !bytes.Contains(in, []byte("*")) && !bytes.HasPrefix(in, out) {
				t.Errorf("%q became %q", in, out)
			}
		}
	})
}

// TestLargeRequests come through whole.
func TestLargeRequests(t *testing.T) {
	w := newKafka(t, BrokerConfig{})
	w.create("t", 1, "max.message.bytes", "8388608")
	large := strings.Repeat("0123456789abcdef", 4<<20/16)
	if err := w.produce("t", large); err != nil {
		t.Fatal(err)
	}
	response, err := w.client.Fetch(t.Context(), &kafka.FetchRequest{Topic: "t", MaxBytes: 8 << 20, MinBytes: 1,
		MaxWait: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	record, err := response.Records.ReadRecord()
	if err != nil {
		t.Fatal(err)
	}
	if value, err := kafka.ReadAll(record.Value); err != nil || string(value) != large {
		t.Errorf("%d of %d bytes came back, %v", len(value), len(large), err)
	}
}
