package settings

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/oklog/ulid/v2"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/providerfile"
	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/deliver/recipient/address"
	"github.com/meddela/meddela/consumer/template"
	"github.com/meddela/meddela/topology"
)

// trial is what a provider said when it was asked.
type trial struct {
	Provider  string `json:"provider"`
	Verdict   string `json:"verdict"`
	Reason    string `json:"reason,omitempty"`
	Detail    string `json:"detail,omitempty"`
	MessageID string `json:"message_id,omitempty"`
	Took      string `json:"took"`
}

// trialTime is how long a provider may take.
const trialTime = 30 * time.Second

// try asks each of the file's providers, or one, and prints what they say: for a login,
// or to send a message to an address.
func try(ctx context.Context, env *command.Env, file *providerfile.File, only, to string) error {
	var some []*providerfile.Definition
	for i := range file.Providers {
		if d := &file.Providers[i]; only == "" || d.Name == only {
			some = append(some, d)
		}
	}
	read := func() (wrong topology.Reason) {
		to, wrong, _ = address.Read(some[0].Channels[0], to, env.Config.Recipient.PhoneRegion)
		return wrong
	}
	switch {
	case len(some) == 0:
		return command.Misusef("there is no provider %s in this file", strconv.Quote(only))
	case to != "" && len(some) > 1:
		return command.Misusef("--send-to sends one message: say by which provider, with --provider")
	case to != "" && read() != topology.NoReason:
		return command.Misusef("this is no address of channel %s", some[0].Channels[0])
	}
	trials, failed := []trial{}, 0
	for _, d := range some {
		t, ok := tryOne(ctx, d, to)
		if trials = append(trials, t); !ok {
			failed++
		}
	}
	if err := printTrials(env, trials); err != nil || failed == 0 {
		return err
	}
	return errors.New(wording.Count(failed, "provider", "providers") + " would take no message: see above")
}

func tryOne(ctx context.Context, d *providerfile.Definition, to string) (t trial, ok bool) {
	t = trial{Provider: d.Name, Verdict: "nothing to try"}
	p, err := d.New()
	if err != nil {
		t.Verdict, t.Detail = provider.Down.String(), err.Error()
		return t, false
	}
	if c, some := p.(provider.Closer); some {
		defer c.Close()
	}
	ctx, cancel := context.WithTimeout(ctx, trialTime)
	defer cancel()
	began, r := time.Now(), provider.Response{}
	prober, some := p.(provider.Prober)
	switch {
	case to != "":
		r = p.Send(ctx, testJob(d.Channels[0], to), testMessage(d.Channels[0], to))
	case some:
		r = prober.Probe(ctx)
	default:
		return t, true
	}
	t.Verdict, t.Reason, t.Detail, t.MessageID = r.Verdict.String(), string(r.Reason), r.Detail, r.MessageID
	t.Took = time.Since(began).Round(time.Millisecond).String()
	return t, r.Verdict == provider.Accepted
}

func testJob(channel topology.Channel, to string) *topology.Job {
	id := topology.EventID("test-" + ulid.Make().String())
	return &topology.Job{
		EventID: id, JobID: topology.JobIDOf(id, 0), Lane: topology.Realtime, Attempt: 1, Type: "test", Template: "test@1",
		Channel: channel, To: to, Language: "en", ReceivedAt: time.Now(),
	}
}

func testMessage(channel topology.Channel, to string) *template.Message {
	const text = "This is a test: the way from meddela to you works."
	m := &template.Message{Channel: channel, To: to, Language: "en"}
	switch channel {
	case topology.Email:
		m.Subject, m.Text = "A test of meddela", text+"\r\n"
	case topology.SMS:
		m.Text = text
	case topology.Push:
		m.Body = []byte(fmt.Sprintf(`{"notification":{"title":"A test of meddela","body":%q}}`, text))
	case topology.Webhook:
		m.Body = []byte(fmt.Sprintf(`{"test":%q}`, text))
	}
	return m
}

func printTrials(env *command.Env, trials []trial) error {
	all := command.NewTable("provider", "verdict", "reason", "says", "as", "took")
	for _, t := range trials {
		all.AppendRow(table.Row{t.Provider, t.Verdict, t.Reason, t.Detail, t.MessageID, t.Took})
	}
	return env.PrintEither(trials, all)
}
