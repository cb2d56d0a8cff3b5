package wire

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/apiversions"

	"github.com/meddela/meddela/topology"
)

// TopicRequest asks for a topic's id, which another topic of the same name never has. The
// client's own request for metadata knows of no ids, and is answered from what it has seen before.
type TopicRequest struct {
	Topic topology.Topic
	ID    string // that was answered, as Kafka's tools write it; none where topics are asked for by name
	code  int16
	ids   bool // the broker takes ids
}

// topicIDLength is that of every id: other clients' commits may say something else.
const topicIDLength = 22

// Mark is what roles write beside an offset that they commit: the id of the topic that it counts for, and when the last
// record was written that they had fetched, each if it is known.
type Mark struct {
	ID   string
	Last time.Time
}

// MarkOf reads what String writes; of what others write it knows nothing.
func MarkOf(metadata string) (m Mark) {
	id, at, _ := strings.Cut(metadata, "@")
	if len(id) == topicIDLength {
		m.ID = id
	}
	if ms, err := strconv.ParseInt(at, 10, 64); err == nil {
		m.Last = time.UnixMilli(ms)
	}
	return m
}

func (m Mark) String() string {
	if m.Last.IsZero() {
		return m.ID
	}
	return m.ID + "@" + strconv.FormatInt(m.Last.UnixMilli(), 10)
}

// metadataVersion is the first in which an answer may be without a name.
const metadataVersion = 12

// TopicID returns a topic's id, or "" of a broker before Kafka 3.1, which is asked by names.
func TopicID(ctx context.Context, addr net.Addr, transport kafka.RoundTripper, topic topology.Topic) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	m, err := transport.RoundTrip(ctx, addr, &TopicRequest{Topic: topic})
	if err != nil {
		return "", err
	}
	answer := m.(*TopicRequest)
	switch kafka.Error(answer.code) {
	case 0:
		return answer.ID, nil
	case kafka.UnknownTopicOrPartition:
		return "", &topology.NoTopicError{Topic: topic}
	}
	return "", kafka.Error(answer.code)
}

// ApiKey implements protocol.Message.
func (*TopicRequest) ApiKey() protocol.ApiKey { return protocol.Metadata }

// Required implements what the client asks of a message that is exchanged by itself.
func (r *TopicRequest) Required(versions map[protocol.ApiKey]int16) bool {
	r.ids = versions[protocol.Fetch] >= fetchByID
	return true
}

// RawExchange asks a broker that can be asked so.
func (r *TopicRequest) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	if !r.ids {
		return r, nil
	}
	m, err := protocol.RoundTrip(rw, 0, 1, "", new(apiversions.Request))
	if err != nil {
		return nil, err
	}
	for _, api := range m.(*apiversions.Response).ApiKeys {
		if protocol.ApiKey(api.ApiKey) == protocol.Metadata && api.MaxVersion < metadataVersion {
			return r, nil
		}
	}
	// After the size come the kind, the version, a number, no client id and no tags; then a list of one
	// topic with no id, and nothing else that is wanted.
	b := []byte{3: 0, 5: byte(protocol.Metadata), 7: metadataVersion, 11: 2, 12: 0xff, 13: 0xff, 14: 0, 15: 2, 31: 0}
	name := append(binary.AppendUvarint(nil, uint64(len(r.Topic)+1)), r.Topic...)
	b = append(append(b, name...), 0, 0, 0, 0)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	if _, err := rw.Write(b); err != nil {
		return nil, err
	}
	var size [4]byte
	if _, err := io.ReadFull(rw, size[:]); err != nil {
		return nil, err
	}
	answer, err := readN(rw, uint64(binary.BigEndian.Uint32(size[:])))
	if err != nil {
		return nil, err
	}
	at := bytes.LastIndex(answer, name) // behind it there is no other text
	if at < 2 || len(answer) < at+len(name)+16 {
		return nil, ErrMalformed
	}
	r.code = int16(binary.BigEndian.Uint16(answer[at-2:]))
	if id := answer[at+len(name):][:16]; string(id) != string(make([]byte, 16)) {
		r.ID = base64.RawURLEncoding.EncodeToString(id)
	}
	return r, nil
}
