package topology

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// document is the part of an AsyncAPI document that the code is held against.
type document struct {
	AsyncAPI string `yaml:"asyncapi"`
	Info     struct {
		Description string `yaml:"description"`
	} `yaml:"info"`
	Channels map[string]struct {
		Address    string                       `yaml:"address"`
		Parameters map[string]map[string]string `yaml:"parameters"`
		Messages   map[string]map[string]string `yaml:"messages"`
		Bindings   struct {
			Kafka struct {
				Config struct {
					Cleanup   []string `yaml:"cleanup.policy"`
					Retention int64    `yaml:"retention.ms"`
					Time      string   `yaml:"message.timestamp.type"`
				} `yaml:"topicConfiguration"`
			} `yaml:"kafka"`
		} `yaml:"bindings"`
	} `yaml:"channels"`
	Operations map[string]struct {
		Action   string              `yaml:"action"`
		Channel  map[string]string   `yaml:"channel"`
		Messages []map[string]string `yaml:"messages"`
	} `yaml:"operations"`
	Components struct {
		Parameters map[string]struct {
			Enum    []string `yaml:"enum"`
			Default string   `yaml:"default"`
		} `yaml:"parameters"`
		Messages map[string]map[string]any `yaml:"messages"`
		Schemas  map[string]struct {
			Properties map[string]any `yaml:"properties"`
		} `yaml:"schemas"`
	} `yaml:"components"`
}

func asyncAPIDocument(t *testing.T) document {
	t.Helper()
	var d document
	if err := yaml.Unmarshal(readFile(t, "asyncapi.yaml"), &d); err != nil {
		t.Fatal(err)
	}
	if d.AsyncAPI != "3.0.0" {
		t.Fatalf("AsyncAPI version %q", d.AsyncAPI)
	}
	return d
}

// TestAsyncAPITopics: every topic is described by one channel, as Specs has
// it, and nothing else is.
func TestAsyncAPITopics(t *testing.T) {
	d := asyncAPIDocument(t)
	if got := d.Components.Parameters["prefix"].Default; got != DefaultPrefix {
		t.Errorf("the default prefix is %q", got)
	}
	described := map[Topic]string{}
	for name, channel := range d.Channels {
		config := channel.Bindings.Kafka.Config
		for _, topic := range expand(d, channel.Address, slices.Sorted(maps.Keys(channel.Parameters))) {
			if other, twice := described[topic]; twice {
				t.Errorf("topic %s is described by %s and %s", topic, other, name)
			}
			described[topic] = fmt.Sprint(config.Cleanup, config.Retention, config.Time)
		}
		if len(channel.Messages) == 0 {
			t.Errorf("channel %s has no messages", name)
		}
	}
	for _, spec := range names.Specs(Sizing{Partitions: 1}) {
		retention, _ := strconv.ParseInt(spec.Config["retention.ms"], 10, 64)
		want := fmt.Sprint([]string{spec.Config["cleanup.policy"]}, retention, spec.Config["message.timestamp.type"])
		if got := described[spec.Name]; got != want {
			t.Errorf("topic %s is described as %q, want %q", spec.Name, got, want)
		}
		delete(described, spec.Name)
	}
	for topic := range described {
		t.Errorf("topic %s is described, and not of the code", topic)
	}
}

// expand is the topics of an address, for every value of its parameters.
func expand(d document, address string, parameters []string) []Topic {
	if len(parameters) == 0 {
		return []Topic{Topic(address)}
	}
	name, rest := parameters[0], parameters[1:]
	values := d.Components.Parameters[name].Enum
	if len(values) == 0 {
		values = []string{d.Components.Parameters[name].Default}
	}
	var topics []Topic
	for _, value := range values {
		topics = append(topics, expand(d, strings.ReplaceAll(address, "{"+name+"}", value), rest)...)
	}
	return topics
}

// TestAsyncAPIReferences: what is referred to exists, in the document or among
// the schemas.
func TestAsyncAPIReferences(t *testing.T) {
	var root any
	if err := yaml.Unmarshal(readFile(t, "asyncapi.yaml"), &root); err != nil {
		t.Fatal(err)
	}
	references := 0
	used := map[string]bool{}
	walkReferences(root, func(ref string) {
		references++
		if schema, ok := strings.CutPrefix(ref, "schema/"); ok {
			file, _, _ := strings.Cut(schema, "#")
			used[file] = true
			if _, err := schemaNamed(t, schema); err != nil {
				t.Errorf("%s: %v", ref, err)
			}
		} else if !resolves(root, ref) {
			t.Errorf("%s is nowhere", ref)
		}
	})
	if references < 50 {
		t.Errorf("only %d references were found", references)
	}
	for _, name := range schemaNames {
		if !used[name] && name != "common.json" {
			t.Errorf("schema %s is of no message", name)
		}
	}
}

func walkReferences(node any, visit func(ref string)) {
	switch node := node.(type) {
	case map[string]any:
		if ref, ok := node["$ref"].(string); ok {
			visit(ref)
		}
		for _, child := range node {
			walkReferences(child, visit)
		}
	case []any:
		for _, child := range node {
			walkReferences(child, visit)
		}
	}
}

// resolves reports whether a reference such as "#/components/messages/job" is
// in the document.
func resolves(root any, ref string) bool {
	path, ok := strings.CutPrefix(ref, "#/")
	node := root
	for step := range strings.SplitSeq(path, "/") {
		object, isObject := node.(map[string]any)
		if node = object[step]; !isObject || node == nil {
			return false
		}
	}
	return ok
}

// TestAsyncAPIOperations: each role receives and sends, each channel is both
// written and read, and an operation's messages are of its channel.
func TestAsyncAPIOperations(t *testing.T) {
	d := asyncAPIDocument(t)
	seen := map[string]bool{}
	for name, operation := range d.Operations {
		actor, _, ok := strings.Cut(name, map[string]string{"send": "Sends", "receive": "Receives"}[operation.Action])
		if !ok || actor != "command" && !slices.Contains(append(Roles(), RoleNotify, RoleReceive), Role(actor)) {
			t.Errorf("operation %s: action %q, of neither a role nor a command", name, operation.Action)
		}
		channel := operation.Channel["$ref"]
		seen[actor+" "+operation.Action], seen[channel+" "+operation.Action] = true, true
		for _, message := range operation.Messages {
			if !strings.HasPrefix(message["$ref"], channel+"/messages/") {
				t.Errorf("operation %s: %s is not of its channel", name, message["$ref"])
			}
		}
	}
	for _, role := range Roles() {
		if !seen[string(role)+" receive"] || !seen[string(role)+" send"] {
			t.Errorf("role %s does not both receive and send", role)
		}
	}
	for name := range d.Channels {
		// Upstream sends events, and so do the commands, so that each is sent here.
		if !seen["#/channels/"+name+" send"] || !seen["#/channels/"+name+" receive"] {
			t.Errorf("channel %s is not both sent to and received from", name)
		}
	}
}

// TestAsyncAPIWords: the closed lists and the names in the document are those
// of the code.
func TestAsyncAPIWords(t *testing.T) {
	d := asyncAPIDocument(t)
	sameWords(t, "lanes", d.Components.Parameters["lane"].Enum, texts(Lanes()))
	sameWords(t, "tiers", d.Components.Parameters["tier"].Enum, tierNames())
	for _, header := range []string{HeaderDue, HeaderTarget} {
		if d.Components.Schemas["waitingHeaders"].Properties[header] == nil {
			t.Errorf("header %s is not described", header)
		}
	}
	for _, header := range []string{HeaderOrders, HeaderPausedProviders} {
		if d.Components.Schemas["pausedHeaders"].Properties[header] == nil {
			t.Errorf("header %s is not described", header)
		}
	}
	keys := Keys{Prefix: DefaultKeyPrefix}
	words := []string{keys.Event("<event id>"), keys.StatusNotice("<event id>")}
	fields := regexp.MustCompile(`\tField\w+ += "(\w+)"`).FindAllStringSubmatch(string(readFile(t, "state.go")), -1)
	if len(fields) < 18 {
		t.Errorf("only %d fields of a status are found", len(fields))
	}
	for _, field := range fields {
		words = append(words, field[1])
	}
	for _, word := range words {
		if !strings.Contains(d.Info.Description, "`"+word+"`") {
			t.Errorf("the description does not have `%s`", word)
		}
	}
}

// TestSchemaWords: the closed lists in the schemas are those of the code.
func TestSchemaWords(t *testing.T) {
	common := schemaEnums(t, "common.json", "$defs")
	sameWords(t, "lanes", common["lane"], texts(Lanes()))
	sameWords(t, "channels", common["channel"], texts(Channels()))
	sameWords(t, "tiers", common["tier"], tierNames())
	sameWords(t, "roles", common["role"], texts(append(Roles(), RoleNotify)))
	sameWords(t, "statuses", common["status"], texts(Statuses()))
	sameWords(t, "reasons", common["reason"], texts(Reasons()))
	actions := schemaEnums(t, "control.json", "properties")["action"]
	sameWords(t, "actions", actions, texts([]ControlAction{Pause, Resume, Kill}))
	sameWords(t, "what is done with tasks", schemaEnums(t, "task.json", "properties")["action"], texts(TaskActions()))
}

// schemaEnums are the enums of text in one of a schema's objects, by name.
func schemaEnums(t *testing.T, name, object string) map[string][]string {
	t.Helper()
	text := readFile(t, "schema/"+name)
	var schema map[string]json.RawMessage
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	var members map[string]struct {
		Enum []string `json:"enum"`
	}
	if err := json.Unmarshal(schema[object], &members); err != nil {
		t.Fatal(err)
	}
	enums := map[string][]string{}
	for key, member := range members {
		enums[key] = member.Enum
	}
	return enums
}

func sameWords(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s are %v, want %v", what, got, want)
	}
}

func texts[T ~string](words []T) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = string(w)
	}
	return out
}

func tierNames() []string {
	var out []string
	for _, tier := range Tiers() {
		out = append(out, tier.Name)
	}
	return out
}

var schemaNames = []string{"common.json", "control.json", "dead-letter-headers.json", "entry.json", "event.json",
	"job.json", "suppression.json", "task.json", "template.json"}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
