package embedded

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
)

// StoreConfig says how a Store is to be. Its zero value is one on any free
// port.
type StoreConfig struct {
	// Port to listen on; 0 is any that is free.
	Port int
}

// Store is a Redis-protocol server in this process, for trying meddela out and
// for tests; it keeps nothing after Close.
type Store struct {
	redis   *miniredis.Miniredis
	gate    *gate
	close   func()
	stopped context.Context
}

// StartStore starts a store. Its error is an *AddressError when the port
// cannot be had.
func StartStore(config StoreConfig) (*Store, error) {
	gate, err := listen(net.JoinHostPort(loopback, strconv.Itoa(config.Port)))
	if err != nil {
		return nil, fmt.Errorf("embedded store: %w", err)
	}
	s := &Store{redis: miniredis.NewMiniRedis(), gate: gate}
	if err := s.startWithoutListener(); err != nil {
		_ = gate.Close()
		return nil, fmt.Errorf("embedded store: %w", err)
	}
	s.run()
	return s, nil
}

// startWithoutListener starts a server that is given its connections, so that
// they come through the gate. There is no call for just that, but the first
// connection in memory starts one.
func (s *Store) startWithoutListener() error {
	conn, err := s.redis.Dial()
	if err != nil {
		return err
	}
	return conn.Close()
}

// run does the store's background work until close is called.
func (s *Store) run() {
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { s.serve(s.redis.Server()) })
	running.Go(func() { s.expire(ctx) })
	s.stopped = ctx
	s.close = sync.OnceFunc(func() {
		stop()
		_ = s.gate.Close()
		running.Wait()
		s.redis.Close()
	})
}

// serve hands over connections until the gate is closed.
func (s *Store) serve(redis *server.Server) {
	listener := guardedListener{s.gate, redisPart}
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		redis.ServeConn(conn)
	}
}

// Addr is where the store listens, host:port.
func (s *Store) Addr() string { return s.gate.Addr().String() }

// Close stops the store and forgets everything. It may be called again.
func (s *Store) Close() { s.close() }

// Sleep breaks every connection and hangs up on new ones until Wake, for
// tests.
func (s *Store) Sleep() { s.gate.setShut(true) }

// Wake ends Sleep. Keys are as they were, except for those that expired
// meanwhile. Its error is that the store is closed.
func (s *Store) Wake() error {
	if s.stopped.Err() != nil {
		return errors.New("embedded store: closed")
	}
	s.gate.setShut(false)
	return nil
}

// Stall keeps connections open and lets nothing through, in either direction,
// until heal is called: clients run into their timeouts. What they send is
// done afterwards.
func (s *Store) Stall() (heal func()) { return s.gate.stall() }

// Fail answers every command with an error, such as "LOADING Redis is loading
// the dataset in memory", until heal is called. There can be one such error at
// a time.
func (s *Store) Fail(with string) (heal func()) {
	s.redis.SetError(with)
	return func() { s.redis.SetError("") }
}

// The server expires nothing by itself: it has to be told how much time has
// passed. Being told takes time in proportion to the number of keys, while
// nothing else is served, so with many keys it is told more rarely; then keys
// expire later. A key also expires earlier by up to that interval, as what has
// passed counts for those that were set a moment ago.
const (
	// expiryInterval is how often keys expire at the most.
	expiryInterval = 100 * time.Millisecond
	// expiryShare is which part of the time expiry may take: one in so many.
	expiryShare = 50
)

// expire expires keys until the context ends.
func (s *Store) expire(ctx context.Context) {
	last, timer := time.Now(), time.NewTimer(expiryInterval)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		now := time.Now()
		s.redis.FastForward(now.Sub(last))
		last = now
		timer.Reset(max(expiryInterval, expiryShare*time.Since(now)))
	}
}
