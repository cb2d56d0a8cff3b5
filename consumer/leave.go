package consumer

import (
	"context"
	"errors"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/meddela/meddela/topology/retry"
)

// leaveTimeout bounds the request by which a member says that it leaves.
const leaveTimeout = 2 * time.Second

// membership is this process's place in its group, as the client library keeps
// it: a library that joins again as soon as a generation has ended, stopped or
// not.
type membership struct {
	group *kafka.ConsumerGroup
	id    string // of the member; empty before its first generation
}

// closeBeforeEnd makes the library leave the group when the generation ends,
// rather than join again. It is called by what is the last of the generation's
// work.
func (m *membership) closeBeforeEnd(owned context.Context) {
	go func() { _ = m.group.Close() }()
	<-owned.Done() // the library has noticed
}

// leave closes the group: this member's partitions go to the others at once.
// The library may be about to join again, and then either waits for the other
// members or forgets to leave; so the coordinator is told as well.
func (l *Loop) leave(m *membership) {
	closed := make(chan struct{})
	go func() { defer close(closed); _ = m.group.Close() }()
	if m.id != "" {
		if err := l.tellLeaving(m.id); err != nil {
			l.log.Warn().Err(err).Msg("leaving the consumer group failed; its session will run out")
		}
	}
	<-closed
}

// abandon tells the coordinator, as soon as it can be reached, that the member
// that this was is gone. The library forgets who it was when the coordinator is
// away, joins as somebody else, and would wait for its own old session to end.
func (l *Loop) abandon(ctx context.Context, m *membership) {
	member := m.id
	if member == "" {
		return
	}
	m.id = ""
	l.leaving.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, l.config.SessionTimeout)
		defer cancel()
		for wait := (retry.Backoff{}); l.tellLeaving(member) != nil && wait.Wait(ctx); {
			retry.Reconnect(l.config.Transport)
		}
	})
}

// tellLeaving tells the coordinator that a member leaves. That it has left is
// no error.
func (l *Loop) tellLeaving(member string) error {
	ctx, cancel := context.WithTimeout(context.Background(), leaveTimeout)
	defer cancel()
	client := kafka.Client{Addr: kafka.TCP(l.config.Brokers...), Transport: l.config.Transport}
	response, err := client.LeaveGroup(ctx, &kafka.LeaveGroupRequest{
		GroupID: l.config.Group,
		Members: []kafka.LeaveGroupRequestMember{{ID: member}},
	})
	if err != nil {
		return err
	}
	errs := []error{response.Error}
	for _, m := range response.Members {
		errs = append(errs, m.Error)
	}
	for _, err := range errs {
		if err != nil && !errors.Is(err, kafka.UnknownMemberId) {
			return err
		}
	}
	return nil
}
