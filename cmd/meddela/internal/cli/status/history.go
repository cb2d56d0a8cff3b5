package status

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/show"
	"github.com/meddela/meddela/cmd/meddela/internal/refold"
	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/consumer/scan"
	"github.com/meddela/meddela/consumer/status"
	"github.com/meddela/meddela/topology"
)

// printHistories prints what the topics have about events, up to a time unless that is zero: every record, or
// the statuses alone.
func printHistories(ctx context.Context, env *command.Env, reader *status.Reader, ids []topology.EventID,
	until time.Time, steps bool) error {
	topics, err := env.Topics(ctx)
	if err != nil {
		return err
	}
	answers, err := reader.GetMany(ctx, ids)
	if err != nil {
		return err
	}
	log := refold.Log{Topics: topics, Names: env.Config.Names()}
	for i, id := range ids {
		var h *refold.History
		err := env.ShowScan("records", func(p *scan.Progress) (err error) {
			h, err = log.HistoryOf(ctx, id, &answers[i].State, until, p)
			return err
		})
		switch {
		case err != nil:
			return err
		case h.State == nil && (len(h.Steps) == 0 || !steps):
			return fmt.Errorf("the topics have nothing of %s by then: %s", id, covered(h))
		case !steps:
			err = show.Print(env, h.State)
		default:
			err = env.Print(h, "%s", historyText(h))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func historyText(h *refold.History) (text string) {
	for i, s := range h.Steps {
		since := ""
		if i > 0 {
			since = fmt.Sprintf("  +%s", s.At.Sub(h.Steps[i-1].At))
		}
		text += fmt.Sprintf("%s%s\n  %s\n  %s\n", show.Time(s.At), since, wording.Printable(s.Words), s.Record)
	}
	return text + covered(h) + "\n"
}

// covered says where was looked, and what is gone from there.
func covered(h *refold.History) string {
	text := "read: offsets"
	for _, r := range h.Read {
		text += fmt.Sprintf(" %d to %d of %s/%d,", r.From, r.To-1, r.Topic, r.Partition)
		if r.Kept > 0 && r.Kept == r.From {
			text += " before which all is removed,"
		}
	}
	return strings.TrimSuffix(text, ",")
}
