package embedded

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/meddela/meddela/topology/retry"
)

// StoreConfig says how a Store is to be. Its zero value is one on any free port.
type StoreConfig struct {
	// Port to listen on; 0 is any that is free.
	Port int
	// Listen in place of net.Listen, for tests that come between the store and its clients.
	Listen Listen
	// ExpiryInterval is by how much a key may expire earlier or later. Default 100 ms.
	ExpiryInterval time.Duration
}

// Store is a Redis-protocol server in this process, for trying meddela out and for tests; it keeps nothing after Close.
type Store struct {
	redis *miniredis.Miniredis
	addr  string
	close func()
}

// StartStore starts a store.
func StartStore(config StoreConfig) (*Store, error) {
	listener, err := config.Listen.guarded(redisPart)("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(config.Port)))
	if err != nil {
		return nil, fmt.Errorf("embedded store: %w", err)
	}
	s := &Store{redis: miniredis.NewMiniRedis(), addr: listener.Addr().String()}
	// It is to be given its connections, so that they come through the guard. There is no call for just that, but the
	// first connection in memory starts such a server.
	conn, err := s.redis.Dial()
	if err != nil {
		_ = listener.Close()
		return nil, fmt.Errorf("embedded store: %w", err)
	}
	_ = conn.Close()

	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		for server := s.redis.Server(); ; {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			server.ServeConn(conn)
		}
	})
	running.Go(func() { s.expire(ctx, cmp.Or(config.ExpiryInterval, expiryInterval)) })
	s.close = sync.OnceFunc(func() {
		stop()
		_ = listener.Close()
		running.Wait()
		s.redis.Close()
	})
	return s, nil
}

// Addr is where the store listens, host:port.
func (s *Store) Addr() string { return s.addr }

// Close stops the store and forgets everything. It may be called again.
func (s *Store) Close() { s.close() }

const expiryInterval = 100 * time.Millisecond

// expire expires keys until the context ends. The server expires nothing by itself: it has to be told how much time has
// passed. Being told takes time in proportion to the number of keys, while nothing else is served, so with many keys it
// is told more rarely; then keys expire later. A key also expires earlier by up to that interval, as what has passed
// counts for those that were set a moment ago.
func (s *Store) expire(ctx context.Context, least time.Duration) {
	const share = 50 // at most one part in so many of the time goes to expiry
	interval := least
	for last := time.Now(); retry.Sleep(ctx, interval); {
		now := time.Now()
		s.redis.FastForward(now.Sub(last))
		last, interval = now, max(least, share*time.Since(now))
	}
}
