package control_test

import (
	"fmt"
	"time"

	"github.com/meddela/meddela/consumer/control"
	"github.com/meddela/meddela/topology"
)

// Asking what operators' orders say about a job.
func ExampleOrders_Verdict() {
	at := time.Date(2026, 12, 1, 8, 0, 0, 0, time.UTC)
	orders := control.Of(topology.ControlRecord{
		Subject: "type:sale", Action: topology.Pause, At: at, Until: at.Add(time.Hour),
	})
	sale := &topology.Job{Type: "sale", Channel: topology.Email, Lane: topology.Batch}
	fmt.Println(orders.Verdict(sale, at.Add(time.Minute)).Paused())
	fmt.Println(orders.Verdict(sale, at.Add(2*time.Hour)).Paused())
	// Output:
	// true
	// false
}
