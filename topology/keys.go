package topology

import (
	"fmt"
	"strconv"
)

// DefaultKeyPrefix starts every Redis key unless configured otherwise.
const DefaultKeyPrefix = "meddela:"

// Keys names the Redis keys and channels of one installation.
type Keys struct {
	Prefix string // starts every key, its separator included
}

// Event is the HASH that holds an event's State: the public read contract.
func (k Keys) Event(id EventID) string { return k.Prefix + "event:" + string(id) }

// Claim is the STRING by which a deliverer owns a job, and which keeps the
// job's outcome afterwards.
func (k Keys) Claim(id JobID) string { return k.Prefix + "claim:" + string(id) }

// ClaimsSince is one of the STRINGs that say since when, in Unix milliseconds, there are
// claims in Redis: whoever loses the one loses the others. On a cluster there are several,
// so that each server has one.
func (k Keys) ClaimsSince(n int) string { return k.Prefix + "claim:since:" + strconv.Itoa(n) }

// Position is one of the HASHes that say of each partition that a consumer group
// reads, as "topic/partition", up to which offset Redis has what the group wrote. On
// a cluster there are several, so that each server has one.
func (k Keys) Position(group string, n int) string {
	return k.Prefix + "position:" + group + ":" + strconv.Itoa(n)
}

// Rebuild is one of the HASHes of what a rebuild of statuses has left to do: of each partition, as
// "topic/partition", up to which offset. On a cluster there are several, so that each server has one.
func (k Keys) Rebuild(n int) string { return k.Prefix + "rebuild:" + strconv.Itoa(n) }

// StatusNotice is the Pub/Sub channel on which changes of an event's status
// are announced, when that is configured.
func (k Keys) StatusNotice(id EventID) string { return k.Prefix + "status:" + string(id) }

// AddressHash stands for a recipient's address where the address itself must
// not be: a keyed hash of it, in hexadecimal.
type AddressHash string

// Suppressions is the HASH of the suppressed addresses of a bucket, and of a mark that
// says how far it is a copy of the suppressions topic: whoever loses the one loses the
// other.
func (k Keys) Suppressions(bucket int) string {
	return fmt.Sprintf("%ssuppressions:%02x", k.Prefix, bucket)
}

// Cap is the ZSET of the jobs that an address had on a channel within the
// channel's window, by time in Unix milliseconds. It expires with the window.
func (k Keys) Cap(c Channel, h AddressHash) string {
	return k.Prefix + "cap:" + string(c) + ":" + string(h)
}

// ProviderRate is the HASH of the bucket that limits how many messages a second
// all deliverers hand to a provider.
func (k Keys) ProviderRate(provider string) string { return k.Prefix + "provider:rate:" + provider }

// ProviderTrouble is the HASH of what deliverers of a lane find wrong with providers: a
// Trouble in JSON for each channel and provider. It expires soon after the last is told.
func (k Keys) ProviderTrouble(lane Lane) string { return k.Prefix + "provider:trouble:" + string(lane) }

// ProviderSlots is the ZSET of the leases that limit how many messages all
// deliverers have with a provider at once, by their end in Unix milliseconds.
func (k Keys) ProviderSlots(provider string) string { return k.Prefix + "provider:slots:" + provider }
