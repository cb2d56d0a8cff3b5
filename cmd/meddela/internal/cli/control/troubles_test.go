package control

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/clitest"
	"github.com/meddela/meddela/topology"
)

// TestTroublesAreListed: beside the orders, in whatever form; no control of a terminal is handed on.
func TestTroublesAreListed(t *testing.T) {
	environment, store := controlSite(t), clitest.StartRedis(t, nil)
	environment["MEDDELA_REDIS_ADDRS"] = store.Addr()
	text, _ := json.Marshal(topology.Trouble{Lane: topology.Batch, Channel: topology.Email, Provider: "mail", Open: true,
		Answer: "421 4.3.2 \x1b[31mbusy", ToldAt: time.Now()})
	key := topology.Keys{Prefix: topology.DefaultKeyPrefix}.ProviderTrouble(topology.Batch)
	store.HSet(key, "email mail", string(text))
	got := meddela(t, environment, "", "control", "list")
	got.Says(t, "provider mail (email, batch): circuit open since ", ": 421 4.3.2 ", "\n\nnothing is paused or killed\n")
	meddela(t, environment, "", "control", "list", "-o", "json").Says(t, `{"orders":[],"troubles":[{"lane":"batch"`)
	if strings.Contains(got.Out, "\x1b") {
		t.Errorf("%q", got.Out)
	}
	store.Close()
	got = meddela(t, environment, "", "control", "list")
	got.Says(t, "nothing is paused or killed\n")
	if !strings.Contains(got.Err, "it is not known whether providers fail") {
		t.Errorf("%q", got.Err)
	}
	meddela(t, environment, "", "control", "list", "-o", "json").Says(t, `{"orders":[],"troubles":[]}`)
}
