package topology

// DefaultKeyPrefix starts every Redis key unless configured otherwise.
const DefaultKeyPrefix = "meddela:"

// Keys names the Redis keys and channels of one installation.
type Keys struct {
	// Prefix starts every key, its separator included.
	Prefix string
}

// Event is the HASH that holds an event's State: the public read contract.
func (k Keys) Event(id EventID) string { return k.Prefix + "event:" + string(id) }

// Claim is the STRING by which a deliverer owns a job, and which keeps the
// job's outcome afterwards.
func (k Keys) Claim(id JobID) string { return k.Prefix + "claim:" + string(id) }

// StatusNotice is the Pub/Sub channel on which changes of an event's status
// are announced, when that is configured.
func (k Keys) StatusNotice(id EventID) string { return k.Prefix + "status:" + string(id) }
