package bench

import (
	"fmt"
	"strconv"
	"time"

	"github.com/meddela/meddela/topology"
)

// distinctEntries makes entries of events that are all different.
func distinctEntries() func(partition, at int) topology.Record {
	start := time.Now()
	return func(partition, at int) topology.Record {
		return entry(partition, at, topology.Sent, start)
	}
}

// pairedEntries makes two entries of each event: that it has a job, and, some
// hundreds of entries later, that it is sent. Some pairs meet in a batch.
func pairedEntries() func(partition, at int) topology.Record {
	const stretch = 200
	start := time.Now()
	return func(partition, at int) topology.Record {
		within := at % (2 * stretch)
		status := topology.PendingDelivery
		if within >= stretch {
			status = topology.Sent
		}
		return entry(partition, at/(2*stretch)*stretch+within%stretch, status, start)
	}
}

// entry is what the pipeline's roles write about an event.
func entry(partition, number int, status topology.Status, at time.Time) topology.Record {
	id := topology.EventID(fmt.Sprintf("01JD8Q3Z5X%02d%014d", partition, number))
	e := topology.Entry{
		EventID:    id,
		JobID:      topology.JobIDOf(id, 0),
		Lane:       lane,
		Attempt:    1,
		Status:     status,
		Type:       eventType,
		Channel:    topology.Email,
		Template:   "order_confirmation@3f2a9c51d07b",
		Source:     topology.Source("meddela.realtime.events/" + strconv.Itoa(partition) + "/" + strconv.Itoa(number)),
		ReceivedAt: at,
		At:         at.Add(7 * time.Millisecond),
	}
	if status == topology.Sent {
		e.At = at.Add(12 * time.Millisecond)
		e.Provider, e.ProviderMessageID = "sandbox", "sandbox-"+string(e.JobID)
	}
	return topology.Record{Key: []byte(id), Value: e.Append(nil)}
}
