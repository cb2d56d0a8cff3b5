package embedded

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestFailures: what is made to fail fails as told, and no longer than told.
func TestFailures(t *testing.T) {
	w := newKafka(t, BrokerConfig{})
	w.create("t", 1)
	if err := w.produce("t", "v"); err != nil {
		t.Fatal(err)
	}
	generation := w.next(w.member("g", "t"))
	produce := func() error { return w.produce("t", "v") }
	fetch := func() error {
		_, err := w.fetch("t", 0)
		return err
	}
	commit := func() error { return generation.CommitOffsets(map[string]map[int]int64{"t": {0: 1}}) }
	for name, c := range map[string]struct {
		fail func(kafka.Error) func()
		with kafka.Error
		do   func() error
	}{
		"produce":           {w.broker.FailProduce, kafka.NotEnoughReplicas, produce},
		"produce, unnamed":  {w.broker.FailProduce, kafka.Unknown, produce},
		"produce, too late": {w.broker.FailProduce, kafka.RequestTimedOut, produce},
		"fetch":             {w.broker.FailFetch, kafka.NotLeaderForPartition, fetch},
		"fetch, gone":       {w.broker.FailFetch, kafka.OffsetOutOfRange, fetch},
		"commit":            {w.broker.FailCommit, kafka.GroupCoordinatorNotAvailable, commit},
	} {
		t.Run(name, func(t *testing.T) {
			if err := c.do(); err != nil {
				t.Fatalf("before: %v", err)
			}
			before, heal := w.broker.Refused(), c.fail(c.with)
			eventually(t, "it fails", func() bool { return errors.Is(c.do(), c.with) })
			if w.broker.Refused() == before {
				t.Error("no refusal was counted")
			}
			heal()
			eventually(t, "it works again", func() bool { return c.do() == nil })
		})
	}
}

// TestWrittenAllTheSame: a write that is answered with a time-out is there.
func TestWrittenAllTheSame(t *testing.T) {
	w := newKafka(t, BrokerConfig{})
	w.create("t", 1)
	for _, late := range []kafka.Error{kafka.RequestTimedOut, kafka.NotEnoughReplicasAfterAppend} {
		heal := w.broker.FailProduce(late)
		if err := w.produce("t", late.Title()); !errors.Is(err, late) {
			t.Errorf("the answer is %v", err)
		}
		heal()
	}
	want := []string{kafka.RequestTimedOut.Title(), kafka.NotEnoughReplicasAfterAppend.Title()}
	var got []string
	for len(got) < len(want) {
		values, err := w.fetch("t", int64(len(got)))
		if err != nil || len(values) == 0 {
			t.Fatalf("written are %q, want %q (%v)", got, want, err)
		}
		got = append(got, values...)
	}
	if !slices.Equal(got, want) {
		t.Errorf("written are %q, want %q", got, want)
	}
}

// TestFailGroup: a member loses its generation, and gets another when the
// group is well.
func TestFailGroup(t *testing.T) {
	w := newKafka(t, BrokerConfig{})
	w.create("t", 1)
	member := w.member("g", "t")
	generation := w.next(member)
	lost := make(chan struct{})
	generation.Start(func(ctx context.Context) {
		<-ctx.Done()
		close(lost)
	})
	heal := w.broker.FailGroup(kafka.UnknownMemberId)
	select {
	case <-lost:
	case <-time.After(10 * time.Second):
		t.Fatal("the generation goes on")
	}
	heal()
	for {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		_, err := member.Next(ctx)
		cancel()
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("no other generation: %v", err)
		}
	}
}

// TestBrokerSleep: while it sleeps nothing works, then everything is as it
// was.
func TestBrokerSleep(t *testing.T) {
	w := newKafka(t, BrokerConfig{Nodes: 2})
	w.create("t", 1)
	if err := w.produce("t", "before"); err != nil {
		t.Fatal(err)
	}
	w.broker.Sleep()
	if err := w.produce("t", "meanwhile"); err == nil {
		t.Error("it took a record in its sleep")
	}
	w.broker.Wake()
	eventually(t, "awake", func() bool { return w.produce("t", "after") == nil })
	values, err := w.fetch("t", 0)
	if want := []string{"before", "after"}; err != nil || !slices.Equal(values, want) {
		t.Errorf("there are %q, want %q (%v)", values, want, err)
	}
}

// TestBrokerStall: requests hang, clients give up on them, and those that were
// sent are answered when the last stall ends.
func TestBrokerStall(t *testing.T) {
	w := newKafka(t, BrokerConfig{})
	w.create("t", 1)
	conn, err := net.Dial("tcp", w.broker.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()

	first, second := w.broker.Stall(), w.broker.Stall()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := w.produceIn(ctx, "t", "v"); err == nil {
		t.Fatal("it took a record")
	}
	if _, err := conn.Write(request(10, int16(kmsg.ApiVersions), 0)); err != nil {
		t.Fatal(err)
	}
	first()
	first() // is no second
	answered := func(within time.Duration) bool {
		_ = conn.SetReadDeadline(time.Now().Add(within))
		_, err := conn.Read(make([]byte, 1))
		return err == nil
	}
	if answered(100 * time.Millisecond) {
		t.Error("it answers while the second stall goes on")
	}
	second()
	if !answered(10 * time.Second) {
		t.Error("what was sent is never answered")
	}
	eventually(t, "the stalls are over", func() bool { return w.produce("t", "v") == nil })
}

// TestCloseWhileStalled does not hang.
func TestCloseWhileStalled(t *testing.T) {
	w := newKafka(t, BrokerConfig{})
	w.topics()
	w.broker.Stall()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_ = w.produceIn(ctx, "t", "v")
	w.broker.Close()

	store, client := newStore(t)
	if err := client.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	store.Stall()
	if err := client.Ping(t.Context()).Err(); err == nil {
		t.Error("it answers")
	}
	store.Close()
}

// TestMoveLeaders: after a while requests find the new leader, and nothing is
// lost.
func TestMoveLeaders(t *testing.T) {
	w := newKafka(t, BrokerConfig{Nodes: 3})
	if got := len(w.broker.Addrs()); got != 3 {
		t.Fatalf("there are %d addresses", got)
	}
	w.create("t", 1)
	const rounds = 10
	for i := range rounds {
		eventually(t, "written", func() bool { return w.produce("t", string(rune('0'+i))) == nil })
		w.broker.MoveLeaders()
		w.broker.MoveCoordinators()
	}
	eventually(t, "all is there", func() bool {
		values, err := w.fetch("t", rounds-1)
		return err == nil && slices.Equal(values, []string{"9"})
	})
}

// TestLoseLeaders: clients that look for a leader find none, until there is
// one.
func TestLoseLeaders(t *testing.T) {
	w := newKafka(t, BrokerConfig{Nodes: 2})
	w.create("t", 2)
	if err := w.produce("t", "before"); err != nil {
		t.Fatal(err)
	}
	heal := w.broker.LoseLeaders()
	eventually(t, "no leader", func() bool {
		_, err := w.fetch("t", 0)
		return err != nil && strings.Contains(err.Error(), "no leader")
	})
	for _, topics := range [][]string{nil, {"t", "nope"}} {
		response, err := w.client.Metadata(t.Context(), &kafka.MetadataRequest{Topics: topics})
		if err != nil {
			t.Fatal(err)
		}
		for _, topic := range response.Topics {
			switch {
			case topic.Name == "nope" && !errors.Is(topic.Error, kafka.UnknownTopicOrPartition):
				t.Errorf("the unknown topic: %v", topic.Error)
			case topic.Name == "t" && (topic.Error != nil || len(topic.Partitions) != 2):
				t.Errorf("the topic: %+v", topic)
			}
		}
	}
	w.create("created meanwhile", 1)
	heal()
	eventually(t, "leaders again", func() bool { return w.produce("t", "after") == nil })
}
