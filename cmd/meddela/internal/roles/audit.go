package roles

import (
	"context"
	"sync"
	"time"

	"github.com/meddela/meddela/consumer/audit"
	"github.com/meddela/meddela/consumer/scan"
	"github.com/meddela/meddela/topology"
)

// auditPatience is how long an auditor's read may last without success before it looks anew.
const auditPatience = 10 * time.Second

// Audit runs role audit, for both lanes, until ctx ends. ready is called when it has looked.
func (in *Installation) Audit(ctx context.Context, ready func()) error {
	LimitMemory(in.Config.Loop.InFlightBytes)
	var running sync.WaitGroup
	for _, lane := range topology.Lanes() {
		transport := in.Kafka.Transport()
		defer transport.CloseIdleConnections()
		log := in.Log.With().Str("role", string(topology.RoleAudit)).Str("lane", string(lane)).Logger()
		auditor := audit.New(audit.Config{
			Lane: lane, Names: in.Names, Every: in.Config.Audit.Every, Wait: in.Config.Audit.Wait, Log: log,
			Topics: &scan.Topics{Addr: in.Kafka.Addr(), Transport: transport, Patience: auditPatience, Log: log},
		})
		in.Metrics.Audit(auditor)
		running.Go(func() { auditor.Run(ctx, ready) })
	}
	running.Wait()
	return nil
}
