package topology

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf16"
)

const small = `{"id":"1","type":"t","ctx":{}}`

// TestWhatIsAroundAnEvent is left out, where it can be told what it is.
func TestWhatIsAroundAnEvent(t *testing.T) {
	quoted, _ := json.Marshal(small)
	for name, value := range map[string]string{
		"Confluent's frame":          "\x00\x00\x00\x00\x2a" + small,
		"a frame, then blanks":       "\x00\x00\x00\x00\x2a \n" + small + "\n",
		"Apicurio's frame":           "\x00\x00\x00\x00\x00\x00\x00\x00\x07" + small,
		"AWS Glue's frame":           "\x03\x00" + strings.Repeat("\x11", 16) + small,
		"a byte order mark":          byteOrderMark + small,
		"a frame, then that":         "\x00\x00\x00\x00\x2a" + byteOrderMark + small,
		"a C string":                 small + "\x00",
		"padding":                    small + "\n\x00\x00\x00\n",
		"a text":                     string(quoted),
		"a text with blanks around":  " " + string(quoted) + "\r\n",
		"a text in a frame":          "\x00\x00\x00\x00\x2a" + string(quoted),
		"blanks":                     "\r\n\t " + small + " \n",
		"an id that looks like JSON": "\x00\x00\x00\x00{" + small,
	} {
		event, err := DecodeEvent(Record{Value: []byte(value)}, Realtime)
		if err != nil || event.ID != "1" || !json.Valid(event.Raw) {
			t.Errorf("%s: %+v, %v", name, event, err)
		}
	}
}

// TestWhatIsNoJSON is told by its name, with what to do.
func TestWhatIsNoJSON(t *testing.T) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write([]byte(small))
	_ = w.Close()
	var wide, wideBE []byte
	for _, c := range utf16.Encode([]rune(small)) {
		wide, wideBE = binary.LittleEndian.AppendUint16(wide, c), binary.BigEndian.AppendUint16(wideBE, c)
	}
	const frame = "\x00\x00\x00\x00\x2a"
	for _, test := range []struct {
		name, value, header, kind, want string
	}{
		{"Avro", frame + "\x48a4b3c2d1-0000-0000-0000-000000000000\x02t", "", "", "Avro of a schema registry (id 42)"},
		{"Avro that begins with an empty text", frame + "\x00\x0ahello", "", "", "Avro of a schema registry (id 42)"},
		{"Avro that begins with a brace", frame + "{\xff\x00", "", "", "Avro of a schema registry (id 42)"},
		{"Avro with a type", frame + "\x00", "content-type", "application/vnd.apache.avro+binary",
			"Avro of a schema registry (id 42)"},
		{"Protobuf", frame + "\x00\x0a\x02e1\x12\x01t\x18\x07", "", "", "Protobuf of a schema registry (id 42)"},
		{"Protobuf of a nested message", frame + "\x04\x02\x00\x0a\x02e1\x21abcdefgh\x2dabcd", "", "",
			"Protobuf of a schema registry (id 42)"},
		{"no more than a frame", frame, "", "", ""},
		{"more indexes than there are", frame + "\xea\xea\xea\xea\xea\xea0", "", "", "Avro of a schema registry (id 42)"},
		{"a message without end", frame + "\x00" + strings.Repeat("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 2), "", "",
			"Avro of a schema registry (id 42)"},
		{"Avro of Apicurio", "\x00\x00\x00\x00\x00\x00\x00\x00\x07\x06abc\x0c\x02", "", "",
			"Avro of a schema registry (id 7)"},
		{"Protobuf of Apicurio", "\x00\x00\x00\x00\x00\x00\x00\x00\x07\x00\x0a\x03abc", "", "",
			"Protobuf of a schema registry (id 7)"},
		{"Avro of Azure", "\x06abc\x0c", "content-type", "avro/binary+0123456789abcdef0123456789abcdef", "Avro"},
		{"the same, of a text that looks like JSON", "\"abcdefghijklmnopq", "content-type", "avro/binary+01234567", "Avro"},
		{"Avro of Spring", "\x06abc\x0c", "contentType", "application/vnd.order.v1+avro", "Avro"},
		{"Apicurio's id in a header", "\x06abc", "apicurio.value.globalId", "\x00\x00\x00\x00\x00\x00\x00\x07",
			"Avro or Protobuf"},
		{"another of its ids", "\x0a\x03abc", "apicurio.value.contentId", "\x00\x00\x00\x07", "Avro or Protobuf"},
		{"AWS Glue", "\x03\x00" + strings.Repeat("\x11", 16) + "\x02t", "", "", "Avro or Protobuf of AWS Glue's schema registry, or compressed by it"},
		{"AWS Glue, compressed", "\x03\x05" + strings.Repeat("\x11", 16) + "\x78\x9c\x01", "", "",
			"Avro or Protobuf of AWS Glue's schema registry, or compressed by it"},
		{"an id in a header", "\x02e1\x02t", "__value_schema_id", "\x01aaaabbbbccccdddd", "Avro or Protobuf"},
		{"a type alone", "\x0a\x02e1", "Content-Type", "application/x-protobuf; messageType=a", "Protobuf"},
		{"Avro's fingerprint", "\xc3\x01abcdefgh\x02t", "", "", "Avro with a schema's fingerprint"},
		{"an Avro file", "Obj\x01\x04", "", "", "an Avro file"},
		{"gzip", packed.String(), "", "", "gzip"},
		{"zstd", "\x28\xb5\x2f\xfd\x04\x00", "", "", "zstd"},
		{"UTF-16", "\xff\xfe" + string(wide), "", "", "UTF-16"},
		{"UTF-16, big endian", "\xfe\xff" + string(wideBE), "", "", "UTF-16"},
		{"UTF-16 without a mark", string(wide), "", "", "UTF-16"},
		{"big endian without a mark", string(wideBE), "", "", "UTF-16"},
		{"Base64", base64.StdEncoding.EncodeToString([]byte(small)), "", "", "Base64"},
		{"Base64 in quotes", `"` + base64.StdEncoding.EncodeToString([]byte(small)) + `"`, "", "", "Base64"},
		{"an array", " [" + small + "]", "", "", "a JSON array"},
		{"XML", byteOrderMark + "<?xml version='1.0'?>", "", "", "XML"},
		{"a Java object", "\xac\xed\x00\x05sr", "", "", "a Java object"},
		{"JSON with a fault", "{" + small, "", "", ""},
		{"JSON with a fault in a frame", frame + `{"id":1,}`, "", "", ""},
		{"nothing that is known", "hello", "", "", ""},
	} {
		r := Record{Value: []byte(test.value), Headers: []Header{{test.header, []byte(test.kind)}}}
		_, err := DecodeEvent(r, Realtime)
		fault, _ := err.(*Fault)
		if fault == nil || fault.Reason != ReasonNotJSON {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		name, is := strings.CutPrefix(fault.Detail, "the value is "+test.want+": ")
		if known := is && !strings.HasPrefix(name, "offset"); known != (test.want != "") {
			t.Errorf("%s: %s, want %s", test.name, fault.Detail, test.want)
		}
	}
}

func TestWrappedEvents(t *testing.T) {
	for value, want := range map[string]string{
		`{"schema":null,"payload":` + small + `}`: "value.converter.schemas.enable=false",
		`{"schema":null}`:                         "picks the template",
	} {
		_, err := DecodeEvent(Record{Value: []byte(value)}, Realtime)
		if reasonOf(err) != ReasonMissingField || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: %v", value, err)
		}
	}
}
