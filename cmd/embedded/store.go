package embedded

import (
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// StoreConfig says how a Store is to be. The zero value is one on any free
// port.
type StoreConfig struct {
	// Port to listen on; 0 is any that is free.
	Port int
}

// Store is a Redis server.
type Store struct {
	redis *miniredis.Miniredis
	addr  string
	stop  func()
}

// tick is how often keys that have expired are removed: the server does
// nothing by itself.
const tick = time.Second

// StartStore starts a store. Its error names the address that could not be
// listened on.
func StartStore(config StoreConfig) (*Store, error) {
	s := &Store{redis: miniredis.NewMiniRedis()}
	address := net.JoinHostPort(loopback, strconv.Itoa(config.Port))
	if err := s.redis.StartAddr(address); err != nil {
		return nil, fmt.Errorf("embedded store: cannot listen on %s: %w", address, err)
	}
	s.addr = s.redis.Addr()
	stopped := make(chan struct{})
	var ticking sync.WaitGroup
	ticking.Go(func() { s.tickUntil(stopped) })
	s.stop = sync.OnceFunc(func() { close(stopped); ticking.Wait() })
	return s, nil
}

func (s *Store) tickUntil(stopped <-chan struct{}) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-stopped:
			return
		case <-ticker.C:
			s.redis.FastForward(tick)
		}
	}
}

// Addr is where the store listens, host:port.
func (s *Store) Addr() string { return s.addr }

// Close stops the store and forgets everything.
func (s *Store) Close() {
	s.stop()
	s.redis.Close()
}

// Sleep breaks every connection and refuses new ones until Wake, for tests.
func (s *Store) Sleep() { s.redis.Close() }

// Wake ends Sleep. Everything is as it was. Its error is that the port was
// taken meanwhile.
func (s *Store) Wake() error { return s.redis.StartAddr(s.addr) }
