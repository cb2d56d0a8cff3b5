package topology

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"strconv"
	"strings"
)

const (
	space         = " \t\r\n"
	byteOrderMark = "\ufeff"
)

// unframed is the JSON of a value without what is around it: a schema registry's frame, a byte
// order mark, zeros at the end, or the quotes of a text that has the whole event.
func unframed(value []byte) []byte {
	if end := bytes.TrimRight(value, space); len(end) > 0 && end[len(end)-1] == 0 {
		value = bytes.TrimRight(value, space+"\x00")
	}
	for _, frame := range []struct {
		magic byte
		size  int
	}{{0, 5}, {0, 9}, {3, 18}} { // Confluent's, which most have; Apicurio's of eight bytes; AWS Glue's
		if len(value) > frame.size && value[0] == frame.magic && startsJSON(value[frame.size:]) {
			value = value[frame.size:]
		}
	}
	value = bytes.TrimPrefix(value, []byte(byteOrderMark))
	if text := wireValue(bytes.Trim(value, space)); text.isText() && len(text) <= MaxEventBytes && CheckJSON(text) == nil {
		if inner := text.bytes(); startsJSON(inner) && inner[0] != '"' {
			return inner
		}
	}
	return value
}

func startsJSON(value []byte) bool {
	rest := bytes.TrimLeft(bytes.TrimPrefix(value, []byte(byteOrderMark)), space)
	return len(rest) > 0 && (rest[0] == '{' || rest[0] == '"')
}

const (
	onTheWay = "publish JSON, or turn it into JSON on the way: docs/events.md, Schema registries"
	leave    = "publish JSON, and leave compression to the client (compression.type)"
	oneByOne = "publish each event as a record of its own"
	itself   = "publish the JSON itself, in UTF-8"
)

// forms are what values are instead of JSON, by how they start.
var forms = []struct{ name, instead, starts string }{
	{"a JSON array", oneByOne, "["},
	{"gzip", leave, "\x1f\x8b"},
	{"zstd", leave, "\x28\xb5\x2f\xfd"},
	{"LZ4 or Snappy", leave, "\x04\x22\x4d\x18 \x82SNAPPY \xff\x06\x00\x00sNaPpY"},
	{"zlib", leave, "\x78\x01 \x78\x9c \x78\xda"},
	{"UTF-16", itself, "\xff\xfe \xfe\xff {\x00 \x00{\x00"},
	{"Base64", itself, "eyJ eyA ewo ew0"},
	{"XML", itself, "<"},
	{"a Java object", itself, "\xac\xed\x00\x05"},
	{"Avro with a schema's fingerprint", onTheWay, "\xc3\x01"},
	{"an Avro file", onTheWay, "Obj\x01"},
}

// schemaHeaders are where Confluent's and Apicurio's serializers put a schema's id, if not before the value.
var schemaHeaders = []string{"__value_schema_id", "apicurio.value.globalId", "apicurio.value.contentId",
	"apicurio.value.artifactId"}

// foreign says what a record's value is that is not JSON, where that can be told. Else it
// returns the error that its reading ended with.
func foreign(r *Record, err error) error {
	fault, _ := errors.AsType[*Fault](err)
	if fault.Reason != ReasonNotJSON && fault.Reason != ReasonNotUTF8 {
		return err
	}
	if name, instead := r.form(fault.Reason); name != "" {
		return &Fault{Reason: ReasonNotJSON, Detail: "the value is " + name + ": " + instead}
	}
	return err
}

func (r *Record) form(fault Reason) (name, instead string) {
	const either = "Avro or Protobuf"
	v, of := r.Value, either
	contentType, _ := r.Header("content-type")
	if contentType == nil {
		contentType, _ = r.Header("contentType") // Spring's
	}
	switch kind := strings.ToLower(string(contentType[:min(len(contentType), maxCarriedBytes)])); {
	case strings.Contains(kind, "cloudevents-batch"):
		return "a batch of CloudEvents, which their Kafka binding does not have", oneByOne
	case strings.Contains(kind, "avro"):
		of = "Avro"
	case strings.Contains(kind, "protobuf"):
		of = "Protobuf"
	}
	said, size := of != either, 5
	if len(v) > 9 && string(v[:5]) == "\x00\x00\x00\x00\x00" { // Apicurio's ids have 8 bytes, and Confluent's begin with 1
		size = 9
	}
	framed := len(v) > size && v[0] == 0
	if framed && !said {
		if of = "Avro"; isProtobuf(v[size:]) {
			of = "Protobuf"
		}
	}
	text := bytes.TrimLeft(bytes.TrimPrefix(v, []byte(byteOrderMark)), space+`"`)
	for _, f := range forms {
		for start := range strings.SplitSeq(f.starts, " ") {
			if bytes.HasPrefix(text, []byte(start)) {
				return f.name, f.instead
			}
		}
	}
	hasID := slices.ContainsFunc(schemaHeaders, func(key string) bool { _, is := r.Header(key); return is })
	switch {
	case startsJSON(unframed(v)) && fault == ReasonNotJSON && !said: // JSON with a fault
	case framed:
		id := binary.BigEndian.Uint32(v[size-4:])
		return of + " of a schema registry (id " + strconv.FormatUint(uint64(id), 10) + ")", onTheWay
	case len(v) > 18 && v[0] == 3 && (v[1] == 0 || v[1] == 5):
		return of + " of AWS Glue's schema registry, or compressed by it", onTheWay
	case hasID, said:
		return of, onTheWay
	}
	return "", ""
}

// isProtobuf reports whether b is what Confluent's serializer writes behind its frame: how many
// indexes say which of a schema's messages it is, these, and the message.
func isProtobuf(b []byte) bool {
	ok := true
	next := func() uint64 {
		v, n := binary.Uvarint(b)
		ok, b = ok && n > 0, b[max(n, 0):]
		return v
	}
	for count := next() / 2; ok && count > 0; count-- {
		if next()%2 != 0 { // which is negative
			return false
		}
	}
	for ok && len(b) > 0 {
		tag, size := next(), uint64(0)
		switch tag % 8 {
		case 0:
			next()
		case 1:
			size = 8
		case 2:
			size = next()
		case 5:
			size = 4
		default:
			return false
		}
		if ok = ok && tag >= 8 && size <= uint64(len(b)); ok {
			b = b[size:]
		}
	}
	return ok
}
