package topology

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

var update = flag.Bool("update", false, "rewrite the golden files *.want.json")

// golden is a kind of record with files in testdata. Of each kind there are
// records that are valid, that are lenient (they break the schema, and are
// read nevertheless) and that are invalid. Beside NAME.json stands
// NAME.want.json: what the record is encoded to after it was decoded, or the
// fault; and NAME.headers.json where there are headers.
type golden struct {
	dir    string
	schema string
	recode func(Record) ([]byte, error)
}

func goldens() []golden {
	return []golden{
		{"events", "event.json", func(r Record) ([]byte, error) {
			e, err := DecodeEvent(r, Realtime)
			return e.Append(nil), err
		}},
		{"jobs", "job.json", func(r Record) ([]byte, error) {
			j, err := DecodeJob(r.Value)
			return j.Append(nil), err
		}},
		{"entries", "entry.json", func(r Record) ([]byte, error) {
			e, err := DecodeEntry(r.Value)
			return e.Append(nil), err
		}},
		{"templates", "template.json", func(r Record) ([]byte, error) {
			t, err := DecodeTemplate(r.Value)
			return t.Append(nil), err
		}},
		{"controls", "control.json", func(r Record) ([]byte, error) {
			c, err := DecodeControl(r.Value)
			return c.Append(nil), err
		}},
		{"tasks", "task.json", func(r Record) ([]byte, error) {
			t, err := DecodeTask(r.Value)
			return t.Append(nil), err
		}},
		{"suppressions", "suppression.json", func(r Record) ([]byte, error) {
			r.Key = []byte("email:339ddf2e8137246f604b58d371b67a01:manual")
			s, _, err := DecodeSuppression(&r)
			return s.Append(nil), err
		}},
	}
}

func TestGolden(t *testing.T) {
	for _, kind := range goldens() {
		for _, grade := range []string{"valid", "lenient", "invalid"} {
			for _, name := range goldenFiles(t, filepath.Join(kind.dir, grade)) {
				t.Run(strings.Join([]string{kind.dir, grade, name}, "/"), func(t *testing.T) {
					kind.check(t, grade, name)
				})
			}
		}
	}
}

func (g golden) check(t *testing.T, grade, name string) {
	record := goldenRecord(t, g.dir, grade, name)
	wire, err := g.recode(record)
	if grade == "invalid" {
		g.checkInvalid(t, name, record, err)
		return
	}
	if err != nil {
		t.Fatalf("decoding: %v", err)
	}
	compareGolden(t, goldenPath(g.dir, grade, name)+".want.json", wire)
	plain := positionMember.ReplaceAll(wire, nil) // which upstream does not write
	again, err := g.recode(Record{Partition: record.Partition, Offset: record.Offset, Value: plain})
	if err != nil || !bytes.Equal(again, wire) {
		t.Errorf("a second round gives %s, %v", again, err)
	}
	if err := validate(t, g.schema, plain); err != nil {
		t.Errorf("what was encoded breaks the schema: %v", err)
	}
	err = validate(t, g.schemaOf(record), record.Value)
	if grade == "valid" && err != nil {
		t.Errorf("breaks the schema: %v", err)
	}
	if grade == "lenient" && err == nil {
		t.Error("does not break the schema, so it belongs to valid")
	}
}

var positionMember = regexp.MustCompile(`"id":"realtime-\d+-\d+",`)

// schemaOf is the schema of the record's value.
func (g golden) schemaOf(r Record) string {
	if _, binary := r.Header("ce_id"); binary {
		return g.schema + "#/$defs/binary"
	}
	return g.schema
}

func (g golden) checkInvalid(t *testing.T, name string, record Record, err error) {
	fault, ok := errors.AsType[*Fault](err)
	if !ok {
		t.Fatalf("got error %v, want a *Fault", err)
	}
	described, err := json.Marshal(map[string]string{
		"reason": string(fault.Reason), "field": fault.Field, "detail": fault.Detail,
	})
	if err != nil {
		t.Fatal(err)
	}
	compareGolden(t, goldenPath(g.dir, "invalid", name)+".want.json", described)
	// What a schema can say of the value alone, the schema must say too.
	if json.Valid(record.Value) && fault.Reason != ReasonTooDeep && fault.Reason != ReasonNotUTF8 &&
		len(record.Headers) == 0 {
		if validate(t, g.schema, record.Value) == nil {
			t.Errorf("the schema allows it; decoding says %v", fault)
		}
	}
}

func goldenPath(dir, grade, name string) string { return filepath.Join("testdata", dir, grade, name) }

// goldenFiles lists the records in a folder of testdata.
func goldenFiles(tb testing.TB, dir string) []string {
	paths, err := filepath.Glob(filepath.Join("testdata", dir, "*.json"))
	if err != nil {
		tb.Fatal(err)
	}
	var names []string
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".json")
		if !strings.Contains(name, ".") {
			names = append(names, name)
		}
	}
	return names
}

// goldenRecord reads a record of testdata, as if from partition 3, offset 114.
// The line break at the end of the file is not part of it.
func goldenRecord(tb testing.TB, dir, grade, name string) Record {
	tb.Helper()
	value, err := os.ReadFile(goldenPath(dir, grade, name) + ".json")
	if err != nil {
		tb.Fatal(err)
	}
	r := Record{Topic: "meddela.realtime.events", Partition: 3, Offset: 114, Value: bytes.TrimSuffix(value, []byte("\n"))}
	headers, err := os.ReadFile(goldenPath(dir, grade, name) + ".headers.json")
	if errors.Is(err, os.ErrNotExist) {
		return r
	}
	var texts map[string]string
	if err := json.Unmarshal(headers, &texts); err != nil {
		tb.Fatal(err)
	}
	for key, text := range texts {
		r.Headers = append(r.Headers, Header{key, []byte(text)})
	}
	return r
}

// compareGolden compares got with a golden file, or rewrites the file.
func compareGolden(t *testing.T, path string, got []byte) {
	t.Helper()
	got = append(bytes.Clone(got), '\n')
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s:\n got %s want %s", path, got, want)
	}
}

const schemaBase = "https://github.com/meddela/meddela/topology/schema/"

// schemas2020 are the schemas, compiled when they are first asked for.
var schemas2020 = struct {
	compiler *jsonschema.Compiler
	compiled map[string]*jsonschema.Schema
}{compiled: map[string]*jsonschema.Schema{}}

// schemaNamed returns a schema by its name, such as "event.json" or
// "event.json#/$defs/binary". Formats such as that of times are held too.
func schemaNamed(t *testing.T, name string) (*jsonschema.Schema, error) {
	t.Helper()
	s := &schemas2020
	if s.compiler == nil {
		s.compiler = newCompiler(t)
	}
	if s.compiled[name] == nil {
		schema, err := s.compiler.Compile(schemaBase + name)
		if err != nil {
			return nil, err
		}
		s.compiled[name] = schema
	}
	return s.compiled[name], nil
}

func newCompiler(t *testing.T) *jsonschema.Compiler {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	for _, name := range schemaNames {
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(readFile(t, "schema/"+name)))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := c.AddResource(schemaBase+name, doc); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	return c
}

// validate holds a JSON text against a schema.
func validate(t *testing.T, name string, text []byte) error {
	t.Helper()
	schema, err := schemaNamed(t, name)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return schema.Validate(doc)
}
