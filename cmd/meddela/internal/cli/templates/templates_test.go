package templates

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/meddela/meddela/cmd/meddela/internal/authoring"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/clitest"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/faults"
)

// templatesSite is a broker with topics.
func templatesSite(t *testing.T) (environment map[string]string) {
	t.Helper()
	environment = map[string]string{
		"MEDDELA_KAFKA_BROKERS": clitest.StartKafka(t).ListenAddrs()[0], "MEDDELA_TOPICS_PARTITIONS": "1",
	}
	meddela(t, environment, "", "topics", "apply").Want(t, command.ExitOK)
	return environment
}

// changed runs a command that changes templates and returns what it says in
// JSON.
func changed(t *testing.T, environment map[string]string, args ...string) changesView {
	t.Helper()
	got := meddela(t, environment, "", append(append([]string{"templates"}, args...), "-o", "json")...)
	got.Want(t, command.ExitOK)
	var view changesView
	if err := json.Unmarshal([]byte(got.Out), &view); err != nil {
		t.Fatalf("%v: %s", err, got.Out)
	}
	return view
}

// kinds are what becomes of each template, in a word.
func (v *changesView) kinds() string {
	var kinds []string
	for _, t := range v.Templates {
		kinds = append(kinds, t.Name+" "+string(t.Change))
	}
	return strings.Join(kinds, ", ")
}

// states lists versions as `templates list` does.
func states(t *testing.T, environment map[string]string, flags ...string) string {
	t.Helper()
	got := meddela(t, environment, "", append([]string{"templates", "list", "-o", "json"}, flags...)...)
	got.Want(t, command.ExitOK)
	var list []listedTemplate
	if err := json.Unmarshal([]byte(got.Out), &list); err != nil {
		t.Fatal(err)
	}
	var states []string
	for _, l := range list {
		states = append(states, l.Name+" "+l.State)
	}
	return strings.Join(states, ", ")
}

func wantSame(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

func TestTemplatesPublishRetireAndRollBack(t *testing.T) {
	environment, folder := templatesSite(t), t.TempDir()
	writeTemplate(t, folder, "code", "types: [code]", "Your code is {{.ctx.code}}\n")
	writeTemplate(t, folder, "parcel", "types: [parcel, letter]", "Your parcel {{.ctx.number}}\n")

	v := changed(t, environment, "publish", folder, "--dry-run")
	wantSame(t, "dry run", v.kinds(), "code new, parcel new")
	wantSame(t, "after a dry run", states(t, environment), "")
	if v = changed(t, environment, "publish", folder); len(v.Published) != 2 || v.Unchanged != 0 || v.Warnings != 2 {
		t.Errorf("published %+v", v)
	}
	v = changed(t, environment, "publish", folder)
	wantSame(t, "again", v.kinds(), "code unchanged, parcel unchanged")
	if len(v.Published) != 0 {
		t.Errorf("published again: %v", v.Published)
	}

	writeTemplate(t, folder, "code", "types: [code]\nttl: 10m", "Your code is {{.ctx.code}}.\n")
	if err := os.RemoveAll(filepath.Join(folder, "parcel")); err != nil {
		t.Fatal(err)
	}
	got := meddela(t, environment, "", "templates", "publish", folder)
	got.Want(t, command.ExitOK)
	for _, want := range []string{
		"changed  code@", "  template.yaml\n", "    +ttl: 10m\n",
		"  en/sms.txt\n    @@ -1 +1 @@\n    -Your code is {{.ctx.code}}\n    +Your code is {{.ctx.code}}.\n",
		"1 template is fine: 1 published, 0 live already\nseen live ",
		"live, and not in the folder, which leaves them live: 1 template: parcel\n",
	} {
		if !strings.Contains(got.Out, want) {
			t.Errorf("no %q in\n%s", want, got.Out)
		}
	}
	got = meddela(t, environment, "", "templates", "publish", folder, "--diff=false", "--dry-run")
	if got.Want(t, command.ExitOK); strings.Contains(got.Out, "@@") {
		t.Errorf("a diff: %s", got.Out)
	}
	wantSame(t, "after a change", states(t, environment, "--all"), "code live, code superseded, parcel live")

	v = changed(t, environment, "rollback", "code")
	wantSame(t, "rollback", v.kinds(), "code restored")
	if len(v.Templates[0].Diff) != 2 {
		t.Errorf("%d files differ", len(v.Templates[0].Diff))
	}
	old := v.Templates[0].Version
	got = meddela(t, environment, "", "templates", "rollback", "code@"+old[:6])
	got.Want(t, command.ExitOK)
	wantSame(t, "rollback to what is live", got.Out, "code@"+old+" is live already: nothing was changed\n")
	v = changed(t, environment, "publish", folder)
	wantSame(t, "publishing after a rollback", v.kinds(), "code restored")

	v = changed(t, environment, "retire", "parcel", "code", "code", "--dry-run")
	wantSame(t, "retiring, dry", v.kinds(), "parcel retired, code retired")
	if !slices.Equal(v.Gaps, []authoring.Gap{{Type: "code", Channel: "sms"}, {Type: "letter", Channel: "sms"},
		{Type: "parcel", Channel: "sms"}}) {
		t.Errorf("gaps %v", v.Gaps)
	}
	got = meddela(t, environment, "", "templates", "retire", "code")
	got.Want(t, command.ExitOK)
	if !strings.Contains(got.Out,
		"note: events of type code on sms are not covered by any template then\n1 template retired, 0 retired already\nseen live ") {
		t.Errorf("retired: %s", got.Out)
	}
	wantSame(t, "live", states(t, environment), "parcel live")
	wantSame(t, "with the retired", states(t, environment, "--retired"), "code retired, parcel live")
	v = changed(t, environment, "retire", "code")
	wantSame(t, "retiring again", v.kinds(), "code unchanged")
	v = changed(t, environment, "rollback", "code", "--dry-run")
	wantSame(t, "rollback of a retirement", v.kinds(), "code revived")
	v = changed(t, environment, "publish", folder)
	wantSame(t, "publishing what is retired", v.kinds(), "code revived")
	wantSame(t, "in the end", states(t, environment, "--all"), "code live, code superseded, parcel live")
}

func TestTemplatesThatAreNotKnown(t *testing.T) {
	environment, folder := templatesSite(t), t.TempDir()
	writeTemplate(t, folder, "order_confirmation", "types: [code]", "Your code\n")
	meddela(t, environment, "", "templates", "publish", folder).Want(t, command.ExitOK)
	for _, test := range []struct {
		args []string
		says string
	}{
		{[]string{"retire", "order_confirmation", "order-confirmation", "x"},
			"there is no template \"order-confirmation\": did you mean order_confirmation?\nmeddela: there is no template \"x\": see meddela templates list --retired"},
		{[]string{"rollback", "order_conf"}, `there is no template "order_conf": see meddela templates list --retired`},
		{[]string{"rollback",
			"order_confirmation"},
			" is the only version of its template: to stop it, use meddela templates retire order_confirmation"},
		{[]string{"rollback", "order_confirmation", "zz"}, "there is no version zz of order_confirmation: there are "},
	} {
		got := meddela(t, environment, "", append([]string{"templates"}, test.args...)...)
		if got.Want(t, command.ExitFailed); !strings.Contains(got.Err, test.says) || got.Out != "" {
			t.Errorf("%v: %s%s", test.args, got.Out, got.Err)
		}
	}
	wantSame(t, "after refusals", states(t, environment), "order_confirmation live")
}

func TestTemplatesLint(t *testing.T) {
	folder := t.TempDir()
	lint := func(status int, flags ...string) clitest.Result {
		t.Helper()
		// Neither Kafka nor configuration is needed.
		got := meddela(t, map[string]string{"MEDDELA_NONSENSE": "1"}, "",
			append([]string{"templates", "lint", folder}, flags...)...)
		got.Want(t, status)
		return got
	}
	if got := lint(command.ExitFailed); !strings.Contains(got.Err, "there are no templates in ") {
		t.Errorf("an empty folder: %s", got.Err)
	}
	writeTemplate(t, folder, "code", "types: [code]", "Your code is {{.ctx.code}}\n")
	got := lint(command.ExitOK)
	want := filepath.Join(folder, "code",
		"template.yaml") + ": warning: there are no samples to check the template with: put events into code/samples, one with all optional data and one with none\n" +
		"1 template with 1 body, checked with 0 samples: no faults, 1 warning\n"
	wantSame(t, "a warning", got.Out, want)
	if got := lint(command.ExitFailed, "--strict"); !strings.HasPrefix(got.Err, "meddela: 1 warning in ") {
		t.Errorf("strict: %s", got.Err)
	}
	writeTemplate(t, folder, "code", "types: [code]\nttl: 3 days", "Your\ncode is {{nope .ctx.code}}\n")
	got = lint(command.ExitFailed)
	for _, want := range []string{
		filepath.Join(folder, "code", "en", "sms.txt") + ":2: ", filepath.Join(folder, "code", "template.yaml") +
			":2: ttl: it must be a length of time",
	} {
		if !strings.Contains(got.Out, want) {
			t.Errorf("no %q in\n%s", want, got.Out)
		}
	}
	if !strings.HasPrefix(got.Err, "meddela: 2 faults and 1 warning in ") {
		t.Errorf("stderr: %s", got.Err)
	}
	var view struct {
		Templates        int
		Faults, Warnings faults.List
	}
	if err := json.Unmarshal([]byte(lint(command.ExitFailed, "-o", "json").Out), &view); err != nil {
		t.Fatal(err)
	}
	if view.Templates != 1 || len(view.Faults) != 2 || view.Faults[0].File != "code/en/sms.txt" ||
		len(view.Warnings) != 1 {
		t.Errorf("%+v", view)
	}
	// What lint refuses is not published, either.
	got = meddela(t, map[string]string{"MEDDELA_KAFKA_BROKERS": clitest.Nowhere}, "", "templates", "publish", folder)
	if got.Want(t, command.ExitFailed); !strings.Contains(got.Err, "nothing is published, because of ") ||
		!strings.Contains(got.Err, "meddela: code/en/sms.txt:2: ") {
		t.Errorf("publish: %s", got.Err)
	}
}

func TestDiffIsSafeOnATerminal(t *testing.T) {
	var b strings.Builder
	writeChange((&command.Env{Out: &b}), &b, &changeView{
		Name: "a", Version: "2", Change: authoring.Changed, Before: &beforeView{Version: "1"},
		Diff: []authoring.FileDiff{{File: "en/sms.txt", Lines: []string{"+\x1b[2Jgone", "+" + strings.Repeat("å", 300)},
			Hidden: 3}},
	})
	want := "changed  a@2, after 1\n  en/sms.txt\n    +\uFFFD[2Jgone\n    +" + strings.Repeat("å", 199) +
		"…\n    … 3 more lines\n"
	wantSame(t, "diff", b.String(), want)
}

// TestLinksOutOfTheFolder: whoever may change a folder of templates has no file of the
// machine that reads it. A link within the folder is followed.
func TestLinksOutOfTheFolder(t *testing.T) {
	base := t.TempDir()
	folder := filepath.Join(base, "templates")
	writeTemplate(t, folder, "code", "types: [code]", "Your code is {{.ctx.code}}")
	secret := filepath.Join(base, "secret.txt")
	if err := os.WriteFile(secret, []byte("s3cr3t"), 0o600); err != nil {
		t.Fatal(err)
	}
	for at, to := range map[string]string{
		"code/sv/sms.txt": secret, "code/fi/sms.txt": "/proc/self/environ", "code/de/sms.txt": "/dev/zero",
		"code/nb/sms.txt": "../../../secret.txt", "code/da/sms.txt": "../en/sms.txt", "code/samples": base, "other": base,
		"_partials": base, "code/fr/sms.txt": "nowhere",
	} {
		link := filepath.Join(folder, at)
		if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(link); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(to, link); err != nil {
			t.Fatal(err)
		}
	}
	got := meddela(t, nil, "", "templates", "lint", folder)
	got.Want(t, command.ExitFailed)
	for _, want := range []string{"code/sv/sms.txt", "code/fi/sms.txt", "code/de/sms.txt", "code/nb/sms.txt",
		"code/samples",
		"other", "_partials", "code/fr/sms.txt"} {
		if !strings.Contains(got.Out, want+": cannot be read: ") {
			t.Errorf("no fault about %s:\n%s", want, got.Out)
		}
	}
	if strings.Contains(got.Out, "s3cr3t") || strings.Contains(got.Out, "PATH=") || strings.Contains(got.Out, "code/da") {
		t.Errorf("it says\n%s", got.Out)
	}
}

// TestTypesOfOthers: who may change the templates of some types changes those of no
// others, neither by the types nor by the name, and outbids nobody.
func TestTypesOfOthers(t *testing.T) {
	environment, folder := templatesSite(t), t.TempDir()
	writeTemplate(t, folder, "password_reset", "types: [password_reset]", "Reset {{.ctx.code}}")
	changed(t, environment, "publish", folder)

	environment["MEDDELA_TEMPLATES_TYPES"] = "order_*,parcel_arrived"
	theirs := t.TempDir()
	writeTemplate(t, theirs, "order", "types: [order_placed, parcel_arrived]", "Order {{.ctx.code}}")
	if got := changed(t, environment, "publish", theirs); got.kinds() != "order new" {
		t.Errorf("their own: %s", got.kinds())
	}
	for name, manifest := range map[string]string{
		"order_reset":    "types: [order_placed, password_reset]\nwhen: \"true && true && true\"",
		"password_reset": "types: [order_placed]",
	} {
		stolen := t.TempDir()
		writeTemplate(t, stolen, name, manifest, "Reset {{.ctx.code}} here")
		got := meddela(t, environment, "", "templates", "publish", stolen)
		got.Want(t, command.ExitFailed)
		if !strings.Contains(got.Err, name+` is for "password_reset", which is not among the types of MEDDELA_TEMPLATES_TYPES`) {
			t.Errorf("%s: %s", name, got.Err)
		}
	}
	for _, args := range []string{"retire password_reset", "rollback password_reset"} {
		meddela(t, environment, "", append([]string{"templates"}, strings.Fields(args)...)...).Want(t, command.ExitFailed)
	}
	if got := states(t, environment); got != "order live, password_reset live" {
		t.Errorf("there are %s", got)
	}
}
