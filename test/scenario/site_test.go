package scenario

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meddela/meddela/topology"
)

// site is one installation of meddela, with topics and keys of its own.
type site struct {
	*place
	t         *testing.T
	dir       string
	topics    topology.Topics
	redisKeys topology.Keys
	cluster   *cluster
	settings  []string
	processes []*process
	started   int
}

// partitions of each topic of a lane.
const partitions = 4

// newSite makes the topics and publishes the sample templates.
func newSite(t *testing.T, p *place) *site {
	name := "scenario-" + strings.ToLower(rand.Text()[:8])
	s := &site{
		place:     p,
		t:         t,
		dir:       t.TempDir(),
		topics:    topology.Topics{Prefix: name + "."},
		redisKeys: topology.Keys{Prefix: name + ":"},
	}
	var err error
	if s.cluster, err = newCluster(p.brokers); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	s.run("topics", "apply")
	s.run("templates", "publish", filepath.Join(root, "cmd", "meddela", "samples", "templates"))
	return s
}

// environment is what every process of the site is configured with.
func (s *site) environment() []string {
	return append(append(ownEnvironment(),
		"MEDDELA_KAFKA_BROKERS="+strings.Join(s.brokers, ","),
		"MEDDELA_REDIS_ADDRS="+s.redis,
		"MEDDELA_TOPIC_PREFIX="+s.topics.Prefix,
		"MEDDELA_KEY_PREFIX="+s.redisKeys.Prefix,
		fmt.Sprintf("MEDDELA_TOPICS_PARTITIONS=%d", partitions),
		"MEDDELA_TOPICS_DEAD_LETTER_PARTITIONS=1",
		"MEDDELA_LOOP_SESSION_TIMEOUT=6s",
		"MEDDELA_CLAIM_LEASE=11s",
		"MEDDELA_LOG_FORMAT=json",
		"MEDDELA_SANDBOX_CHANNELS=all",
	), s.settings...)
}

// run runs a command of the binary to its end, and returns what it prints.
func (s *site) run(args ...string) []byte {
	s.t.Helper()
	var out, errOut bytes.Buffer
	command := exec.Command(binary, args...)
	command.Env = s.environment()
	command.Stdout, command.Stderr = &out, &errOut
	if err := command.Run(); err != nil {
		s.t.Fatalf("meddela %s: %v\n%s%s", strings.Join(args, " "), err, &out, &errOut)
	}
	return out.Bytes()
}

// startRoles starts a process of every role of the lanes, and waits until all
// that run share the partitions.
func (s *site) startRoles(lanes ...topology.Lane) []*process {
	s.t.Helper()
	var started []*process
	for _, lane := range lanes {
		for _, role := range topology.Roles() {
			started = append(started, s.start(role, lane))
		}
	}
	s.awaitGroups(lanes...)
	return started
}

// awaitGroups waits until in each group of the lanes exactly the processes that
// run have partitions.
func (s *site) awaitGroups(lanes ...topology.Lane) {
	s.t.Helper()
	for _, lane := range lanes {
		for _, role := range topology.Roles() {
			for _, group := range s.topics.Groups(role, lane) {
				s.eventually(30*time.Second, fmt.Sprintf("the processes of %s share its partitions", group), func() error {
					return s.shared(group, role, lane)
				})
			}
		}
	}
}

func (s *site) shared(group string, role topology.Role, lane topology.Lane) error {
	counts, err := s.cluster.assignments(group)
	if err != nil {
		return err
	}
	running := 0
	for _, p := range s.processes {
		if p.role == role && p.lane == lane && p.running {
			running++
			if counts[s.client(p.name)+"-"+string(lane)] == 0 {
				return fmt.Errorf("%s has none; the members have %v", p.name, counts)
			}
		}
	}
	if len(counts) != running {
		return fmt.Errorf("%d processes run, and the members have %v", running, counts)
	}
	return nil
}

// inputs are the topics that a role reads.
func (s *site) inputs(role topology.Role, lane topology.Lane) []topology.Topic {
	switch role {
	case topology.RoleMatch:
		return []topology.Topic{s.topics.Events(lane)}
	case topology.RoleDeliver:
		return []topology.Topic{s.topics.Jobs(lane)}
	case topology.RoleStatus:
		return []topology.Topic{s.topics.Events(lane), s.topics.DeliveryLog(lane)}
	}
	topics := []topology.Topic{s.topics.Paused(lane)}
	for _, tier := range topology.Tiers() {
		topics = append(topics, s.topics.Delay(lane, tier))
	}
	return topics
}

// awaitQuiet waits until every role of a lane has committed all that its topics
// have: from then on nothing happens by itself.
func (s *site) awaitQuiet(lane topology.Lane) {
	s.t.Helper()
	for _, role := range []topology.Role{topology.RoleMatch, topology.RoleDelay, topology.RoleDeliver,
		topology.RoleStatus} {
		for _, topic := range s.inputs(role, lane) {
			for _, group := range s.topics.Groups(role, lane) {
				s.eventually(30*time.Second, fmt.Sprintf("%s has done all of %s", group, topic), func() error {
					behind, err := s.cluster.behind(group, string(topic))
					if err == nil && behind != 0 {
						err = fmt.Errorf("it is %d records behind", behind)
					}
					return err
				})
			}
		}
	}
}

// eventually polls until check has no error.
func (s *site) eventually(within time.Duration, what string, check func() error) {
	s.t.Helper()
	deadline := time.Now().Add(within)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("after %v it is still not so that %s: %v", within, what, err)
		}
		time.Sleep(pollInterval)
	}
}

const pollInterval = 50 * time.Millisecond

// close stops what runs, looks at what it has left, and deletes topics and keys.
func (s *site) close() {
	var running []*process
	for _, p := range s.processes {
		if p.running {
			running = append(running, p)
		}
	}
	s.stop(running...)
	for _, p := range s.processes {
		p.check(s.t)
	}
	s.checkAddresses()
	if s.name == "real" {
		if err := s.cluster.deleteTopics(s.topics.Prefix); err != nil {
			s.t.Errorf("deleting the topics: %v", err)
		}
		if keys, err := s.reader.keys(s.redisKeys.Prefix); err != nil {
			s.t.Error(err)
		} else if err := s.reader.remove(keys); err != nil {
			s.t.Error(err)
		}
	}
	s.cluster.client.Close()
}
