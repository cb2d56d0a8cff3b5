package main

import (
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/meddela/meddela/topology"
)

// overheadFigure has processes of the matcher, the role that does most for each second of CPU, work off the same
// backlog: with their metrics asked for every second, far more often than anybody does, and with a share of the events
// traced. The traces' collector is in this process.
func overheadFigure(flags *flag.FlagSet) func(*bench) []Table {
	events := count(flags, "events", 200_000, "how many events are matched each time")
	sample := flags.Float64("sample", 0.01, "share of the events that are traced, from 0 to 1")
	rounds := roundsFlag(flags)
	return func(b *bench) []Table {
		s := b.newSystem("overhead", lane)
		s.publishSamples()
		s.fill(s.names.Events(lane), *events, numbered)
		collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
		}))
		defer collector.Close()
		free := must(net.Listen("tcp", "127.0.0.1:0"))
		address := free.Addr().String()
		check(free.Close())
		scraped := "MEDDELA_HTTP_ADDR=" + address
		traced := []string{scraped, "MEDDELA_TRACE_ENDPOINT=" + collector.URL, fmt.Sprintf("MEDDELA_TRACE_SAMPLE=%v", *sample)}
		return []Table{compare("overhead", "events", *rounds, 0.95,
			s.processDrainer("scraped, and a share of events traced", *events, address, traced...),
			s.processDrainer("neither", *events, ""),
			s.processDrainer("scraped only", *events, address, scraped),
		)}
	}
}

// processDrainer is a contestant that is a process of the matcher. If it has an address, its metrics are asked for every
// second. What counts is the time from its first outputs to its last.
func (s *system) processDrainer(name string, events int, address string, environment ...string) contestant {
	log := s.names.DeliveryLog(lane)
	return contestant{name, func() work {
		before := s.ends(log)
		p := s.start(topology.RoleMatch, lane, environment...)
		written := 0
		s.await(name, time.Millisecond, func() (done, want int) {
			written = s.ends(log) - before
			return written, 1
		})
		metered, scraped := s.meter(map[string]int{p.name: p.cmd.Process.Pid}), time.Now()
		s.await(name, 2*time.Millisecond, func() (done, want int) {
			if address != "" && time.Since(scraped) > time.Second {
				response := must(http.Get("http://" + address + "/metrics"))
				_, _ = io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
				scraped = time.Now()
			}
			return s.ends(log) - before, events
		})
		done := work{events - written, metered()}
		s.stop()
		s.rewind(s.names.Group(topology.RoleMatch, lane), s.names.Events(lane))
		return done
	}}
}
