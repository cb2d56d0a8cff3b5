// Package quota keeps what all deliverers together hand to a provider within
// its limits: messages a second, and messages at once. The limits are counted in
// Redis; each process takes and gives back several at a time, so that a message
// costs no round trip of its own. A part of both is kept free for the real-time
// lane, which a batch can then never make wait.
//
// It is not github.com/go-redis/redis_rate, which asks Redis for every message,
// knows no messages at once, and no lane that goes before the other.
package quota
