package connect

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol/describegroups"
	"github.com/segmentio/kafka-go/protocol/metadata"

	"github.com/meddela/meddela/producer"
	"github.com/meddela/meddela/topology"
)

// bits are the places of operations in what a broker says of a user's rights.
var bits = map[topology.Operation]int{topology.OpRead: 3, topology.OpWrite: 4, topology.OpCreate: 5,
	topology.OpDescribe: 8, topology.OpDescribeConfigs: 10}

// MissingInKafka are those of some rights that our user does not have, as far as the
// brokers tell.
func MissingInKafka(ctx context.Context, c producer.Connection, rights []topology.Right) (missing []string, err error) {
	var topics, groups []string
	for _, r := range rights {
		if r.Group != "" {
			groups = append(groups, r.Group)
		} else {
			topics = append(topics, string(r.Topic))
		}
	}
	may := make(map[string]int32) // by topic and group
	const version = 8             // the first whose answer has rights
	answer, err := c.Ask(ctx, &metadata.Request{TopicNames: topics, IncludeTopicAuthorizedOperations: true}, version)
	if err != nil {
		return nil, err
	}
	note := func(name string, code int16, allowed int32) {
		switch err := kafka.Error(code); {
		case errors.Is(err, kafka.TopicAuthorizationFailed) || errors.Is(err, kafka.GroupAuthorizationFailed):
			may[name] = 0
		case code == 0 && allowed != math.MinInt32: // which stands for "not told"
			may[name] = allowed
		}
	}
	for _, t := range answer.(*metadata.Response).Topics {
		note(t.Name, t.ErrorCode, t.TopicAuthorizedOperations)
	}
	transport := c.Transport()
	defer transport.CloseIdleConnections()
	for _, group := range groups {
		answer, err := transport.RoundTrip(ctx, c.Addr(),
			&describegroups.Request{Groups: []string{group}, IncludeAuthorizedOperations: true})
		if errors.Is(err, kafka.GroupAuthorizationFailed) {
			note(group, int16(kafka.GroupAuthorizationFailed), 0)
		} else if err != nil {
			return nil, err
		} else {
			for _, g := range answer.(*describegroups.Response).Groups {
				note(g.GroupID, g.ErrorCode, g.AuthorizedOperations)
			}
		}
	}
	for _, r := range rights {
		if allowed, told := may[string(r.Topic)+r.Group]; told && allowed&(1<<bits[r.Operation]) == 0 {
			missing = append(missing, r.String())
		}
	}
	return missing, nil
}

// tryRight says whether our user may run a command.
var tryRight = redis.NewScript("return redis.acl_check_cmd(unpack(ARGV)) and 1 or 0")

// MissingInRedis are those of some rights that our user does not have, as far as Redis
// tells. Where there are scripts among them a script asks; else commands are run, which
// only read.
func MissingInRedis(ctx context.Context, client redis.UniversalClient, rights topology.RedisRights) (missing []string) {
	scripts := strings.HasPrefix(rights.Commands[0], "eval")
	for _, pattern := range rights.Keys {
		key := strings.ReplaceAll(pattern, "*", "rights")
		for _, command := range rights.Commands {
			words := strings.Fields(command)
			var args []any
			for _, word := range words {
				if word == "CHANNEL" {
					word = strings.ReplaceAll(rights.Channels[0], "*", "rights")
				}
				args = append(args, strings.ReplaceAll(word, "KEY", key))
			}
			var err error
			allowed := 1
			if scripts {
				allowed, err = tryRight.Run(ctx, client, []string{key}, args...).Int()
			} else {
				err = client.Do(ctx, args...).Err()
			}
			if told := fmt.Sprintf("%s on %s", words[0], pattern); redis.IsPermissionError(err) || err == nil && allowed == 0 {
				missing = append(missing, told)
			}
		}
	}
	return slices.Compact(missing)
}
