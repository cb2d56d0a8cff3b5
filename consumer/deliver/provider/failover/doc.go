// Package failover is a deliver.Provider made of the providers that a channel has:
// it chooses one for each message, keeps within their limits, leaves alone those
// that are down, and goes on to the next only where a message was definitely not
// accepted.
package failover
