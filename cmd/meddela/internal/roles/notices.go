package roles

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/meddela/meddela/cmd/meddela/internal/config"
	"github.com/meddela/meddela/cmd/meddela/internal/providerfile"
	"github.com/meddela/meddela/cmd/meddela/internal/strictyaml"
	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/consumer/notify"
	"github.com/meddela/meddela/consumer/outbound"
	"github.com/meddela/meddela/topology"
)

// webhooks are those of the notices' file. The error is Faults.
func webhooks(c *config.Config) ([]notify.Webhook, error) {
	if c.Status.NoticesFile == "" {
		return nil, config.Faults{"MEDDELA_NOTICES_FILE is not set: name the file that says which webhooks are told what"}
	}
	text, err := os.ReadFile(c.Status.NoticesFile)
	if err != nil {
		return nil, config.Faults{fmt.Sprintf("MEDDELA_NOTICES_FILE cannot be read: %v", err)}
	}
	webhooks, err := parseWebhooks(c.Status.NoticesFile, string(text), os.LookupEnv)
	if err != nil {
		return nil, config.Faults(strings.Split(err.Error(), "\n"))
	}
	return webhooks, nil
}

// parseWebhooks reads the file's text. The error is faults.List.
func parseWebhooks(name, text string, lookup func(string) (string, bool)) (webhooks []notify.Webhook, err error) {
	err = strictyaml.Read(name, text, func(top *strictyaml.Map) {
		if !top.Has("webhooks") {
			top.Fail("webhooks", "there are none: add a list of them")
		}
		seen, signing := make(map[string]bool), make(providerfile.Signing)
		for _, m := range top.Maps("webhooks") {
			w := webhookOf(m, signing, lookup)
			if seen[w.Name] {
				m.Fail("name", strconv.Quote(w.Name)+" is there already: give each webhook a name of its own")
			}
			seen[w.Name] = true
			webhooks = append(webhooks, w)
		}
	})
	return webhooks, err
}

func webhookOf(m *strictyaml.Map, signing providerfile.Signing, lookup func(string) (string, bool)) notify.Webhook {
	w := notify.Webhook{
		Name: m.Name("crm"), URL: m.Needed("url", "https://crm.example.com/meddela"),
		Types: m.Texts("types"), Timeout: m.Duration("timeout", 10*time.Millisecond, 10*time.Second),
		AllowPrivate: m.Bool("allow_private"),
	}
	host := w.Name
	if target, err := outbound.ParseURL(w.URL); err == nil {
		host = target.Host
	} else if w.URL != "" {
		m.Fail("url", "it "+err.Error())
	}
	for _, word := range m.Texts("statuses") {
		status, err := topology.ParseStatus(word)
		if err != nil {
			m.Fail("statuses", strconv.Quote(word)+" is no status: use "+wording.OrList(wording.Texts(topology.Statuses())))
			continue
		}
		w.Statuses = append(w.Statuses, status)
	}
	w.Secrets = signing.Secrets(m, "secrets", host, lookup)[host]
	if !m.Has("secrets") {
		m.Fail("secrets", "there are none: receivers must be able to tell who tells them; say secrets: [{env: NOTICES_SECRET}]")
	}
	return w
}

// noticeParallel is how many batches of a partition are told side by side.
const noticeParallel = 8

func (r *role) notify(ctx context.Context) error {
	webhooks, err := webhooks(r.Config)
	if err != nil {
		return err
	}
	handler, err := notify.New(r.lane, r.Names, r.log, webhooks)
	if err != nil {
		return err
	}
	defer handler.Close()
	r.metrics.Notices(handler)
	return r.loop(ctx, r.loopConfig(handler, noticeParallel))
}
