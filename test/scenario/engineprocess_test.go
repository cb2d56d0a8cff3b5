package scenario

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/meddela/meddela/topology"
)

// engine is the engine of test/engine, which delivers e-mail.
type engine struct {
	*site
	lane    topology.Lane
	python  string
	process *process
}

// enginePython is the interpreter that test/engine/setup makes, once for all
// scenarios.
func enginePython(t *testing.T) string {
	t.Helper()
	path, err := setUpEngine()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var setUpEngine = sync.OnceValues(func() (string, error) {
	var errOut bytes.Buffer
	command := exec.Command(filepath.Join(root, "test", "engine", "setup"))
	command.Stderr = &errOut
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("test/engine/setup: %w\n%s", err, &errOut)
	}
	return strings.TrimSpace(string(out)), nil
})

// start starts the engine, or starts it again.
func (e *engine) start() {
	e.t.Helper()
	args := e.args("run", "--channel", "email", "--outbox", "engine"+acceptancesSuffix,
		"--retry", "1,2", "--send-seconds", "0.01")
	e.process = e.spawn(exec.Command(e.python, args...))
}

// args are a command of the engine with what it needs to know of the site.
func (e *engine) args(command string, more ...string) []string {
	return append([]string{
		"-B", filepath.Join(root, "test", "engine", "engine.py"), command,
		"--brokers", strings.Join(e.brokers, ","), "--prefix", e.topics.Prefix, "--lane", string(e.lane), "--dir", e.dir,
	}, more...)
}

// startDeliver starts role deliver for some channels.
func (e *engine) startDeliver(channels ...string) {
	e.t.Helper()
	e.site.start(topology.RoleDeliver, e.lane, "--channel", strings.Join(channels, ","))
}

// spawn starts the engine as a process of the site, in place of role deliver.
func (e *engine) spawn(command *exec.Cmd) *process {
	e.t.Helper()
	e.started++
	p := &process{
		name: fmt.Sprintf("%s-engine-%d", e.lane, e.started), role: topology.RoleDeliver, lane: e.lane,
		command: command, ended: make(chan struct{}), running: true,
	}
	p.log = filepath.Join(e.dir, p.name+".log")
	out, err := os.Create(p.log)
	if err != nil {
		e.t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	command.Env = ownEnvironment()
	command.Stdout, command.Stderr = out, out
	if err := command.Start(); err != nil {
		e.t.Fatal(err)
	}
	go func() {
		p.err = command.Wait()
		close(p.ended)
	}()
	e.processes = append(e.processes, p)
	return p
}

// awaitMembers waits until every role has its partitions, the channels' groups
// included.
func (e *engine) awaitMembers() {
	e.t.Helper()
	for _, role := range topology.Roles() {
		for _, group := range e.topics.Groups(role, e.lane) {
			e.eventually(30*time.Second, group+" has a member with all partitions", func() error {
				counts, err := e.cluster.assignments(group)
				if err == nil && len(counts) != 1 {
					err = fmt.Errorf("the members have %v", counts)
				}
				return err
			})
		}
	}
}

// checkLog checks that the engine's entries are good ones, carry the trace and
// have no address.
func (e *engine) checkLog() {
	e.t.Helper()
	schema := entrySchema(e.t)
	traced := 0
	for _, r := range e.records(e.topics.DeliveryLog(e.lane)) {
		if _, err := topology.DecodeEntry(r.Value); err != nil {
			e.t.Errorf("an entry of %s: %v", r.Key, err)
		}
		if doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(r.Value)); err != nil || schema.Validate(doc) != nil {
			e.t.Errorf("the entry %s is not as entry.json wants it: %v", r.Value, schema.Validate(doc))
		}
		if bytes.Contains(r.Value, []byte(recipientDomain)) {
			e.t.Errorf("an entry of %s has the recipient's address", r.Key)
		}
		for _, h := range r.Headers {
			if h.Key != "traceparent" {
				e.t.Errorf("an entry of %s has the header %s", r.Key, h.Key)
			} else if bytes.Contains(r.Value, []byte(`"provider":"outbox"`)) {
				traced++
			}
		}
	}
	if traced == 0 {
		e.t.Error("no entry of the engine has the trace of its event")
	}
}

// entrySchema is the JSON Schema of entries, as others get it.
func entrySchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	const base = "https://github.com/meddela/meddela/topology/schema/"
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	schemas := os.DirFS("../../topology/schema")
	names, err := fs.Glob(schemas, "*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := fs.ReadFile(schemas, name)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := compiler.AddResource(base+name, doc); err != nil {
			t.Fatal(err)
		}
	}
	schema, err := compiler.Compile(base + "entry.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// records are what a topic has now.
func (e *engine) records(topic topology.Topic) []*kgo.Record {
	e.t.Helper()
	records, err := e.cluster.read(string(topic))
	if err != nil {
		e.t.Fatal(err)
	}
	return records
}

var foundAccepted = regexp.MustCompile(`the provider has (\d+) of them`)

// spared is how many messages the engine found accepted after a crash.
func (e *engine) spared() int {
	e.t.Helper()
	sum := 0
	for _, p := range e.processes {
		log, err := os.ReadFile(p.log)
		if err != nil {
			e.t.Fatal(err)
		}
		for _, found := range foundAccepted.FindAllSubmatch(log, -1) {
			n, _ := strconv.Atoi(string(found[1]))
			sum += n
		}
	}
	return sum
}
