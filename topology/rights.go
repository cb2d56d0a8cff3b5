package topology

import "slices"

// User is who logs in to Kafka and Redis: a role of a lane, by its name, or one of the
// others below.
type User string

const (
	UserUpstream User = "upstream" // publishes events
	UserEngine   User = "engine"   // another delivery engine
	UserReader   User = "reader"   // reads statuses
	UserMonitor  User = "monitor"
	UserOperator User = "operator" // uses all commands
)

// Users lists everybody who needs rights.
func Users() []User {
	users := []User{UserUpstream}
	for _, role := range append(Roles(), RoleNotify) {
		users = append(users, User(role))
	}
	return append(users, User(RoleReceive), User(RoleAudit), UserEngine, UserReader, UserMonitor, UserOperator)
}

// Operation is what may be done with a topic or a group, as Kafka names it.
type Operation string

// Read and Write have Describe in them.
const (
	OpRead            Operation = "Read"
	OpWrite           Operation = "Write"
	OpCreate          Operation = "Create"
	OpDescribe        Operation = "Describe"
	OpDescribeConfigs Operation = "DescribeConfigs"
)

// Right is an operation on a topic or on a group.
type Right struct {
	Operation Operation
	Topic     Topic
	Group     string
}

func (r Right) String() string {
	if r.Group != "" {
		return string(r.Operation) + " on group " + r.Group
	}
	return string(r.Operation) + " on topic " + string(r.Topic)
}

// Rights are what a user needs of Kafka for a lane, and no more.
func (t Topics) Rights(u User, l Lane) (rights []Right) {
	topics := func(o Operation, topics ...Topic) {
		for _, topic := range topics {
			rights = append(rights, Right{Operation: o, Topic: topic})
		}
	}
	groups := func(o Operation, role Role) {
		for _, group := range t.Groups(role, l) {
			rights = append(rights, Right{Operation: o, Group: group})
		}
	}
	switch role := Role(u); u {
	case UserUpstream:
		topics(OpWrite, t.Events(l))
	case UserEngine:
		topics(OpRead, t.Jobs(l))
		topics(OpWrite, t.DeliveryLog(l), t.DeadLetters(l))
		groups(OpRead, RoleDeliver)
	case User(RoleReceive):
		topics(OpRead, t.Suppressions())
		topics(OpWrite, t.DeliveryLog(l), t.Suppressions())
	case User(RoleAudit):
		topics(OpRead, t.Events(l), t.DeliveryLog(l), t.DeadLetters(l))
		topics(OpDescribe, append(t.Reads(RoleDelay, l), t.Redrive(l), t.Jobs(l))...)
		groups(OpDescribe, RoleMatch)
		groups(OpDescribe, RoleDeliver)
		groups(OpDescribe, RoleDelay)
		groups(OpRead, RoleAudit)
	case UserMonitor, UserOperator:
		for _, role := range append(Roles(), RoleNotify) {
			for _, topic := range t.Reads(role, l) {
				if !slices.Contains(rights, Right{Operation: OpRead, Topic: topic}) {
					topics(OpRead, topic)
				}
			}
			groups(OpDescribe, role)
		}
		if u == UserOperator {
			topics(OpRead, t.DeadLetters(l), t.Templates(), t.Control(), t.Suppressions(), t.Tasks())
			topics(OpWrite, t.Events(l), t.Redrive(l), t.Templates(), t.Control(), t.Suppressions(), t.Tasks())
			for _, topic := range t.All() { // `topics apply` is about both lanes at once
				topics(OpCreate, topic)
				topics(OpDescribe, topic)
				topics(OpDescribeConfigs, topic)
			}
		}
	case UserReader:
	default:
		topics(OpRead, t.Reads(role, l)...)
		topics(OpRead, t.Follows(role)...)
		if role == RoleDeliver {
			topics(OpRead, t.DeliveryLog(l)) // what Redis lost of it
		}
		if l == Batch { // which yields to them
			topics(OpDescribe, t.Events(Realtime))
		}
		topics(OpWrite, t.Writes(role, l)...)
		groups(OpRead, role)
	}
	return rights
}

// Follows lists the compacted topics that a role reads without a group.
func (t Topics) Follows(role Role) []Topic {
	switch role {
	case RoleMatch:
		return []Topic{t.Templates()}
	case RoleDeliver:
		return []Topic{t.Templates(), t.Control(), t.Suppressions()}
	case RoleDelay:
		return []Topic{t.Control()}
	}
	return nil
}

// Writes lists the topics that a role of a lane writes.
func (t Topics) Writes(role Role, l Lane) []Topic {
	waits := t.Reads(RoleDelay, l) // the paused topic, and that of each tier
	switch role {
	case RoleMatch:
		return append([]Topic{t.Jobs(l), t.DeliveryLog(l), t.DeadLetters(l)}, waits[1:]...)
	case RoleDeliver:
		return append([]Topic{t.DeliveryLog(l), t.DeadLetters(l)}, waits...)
	case RoleDelay:
		return append([]Topic{t.Jobs(l), t.Notices(l), t.DeliveryLog(l), t.DeadLetters(l)}, waits...)
	case RoleNotify:
		return append([]Topic{t.DeadLetters(l)}, waits[1:]...)
	}
	return []Topic{t.DeadLetters(l)}
}

// RedisRights are what a user needs of Redis: on these keys and channels, as patterns,
// these commands. A command has arguments as an example, KEY for its key.
type RedisRights struct{ Keys, Channels, Commands []string }

// Rights are what a user needs of Redis, beside the commands of connections
// (+@connection, on a cluster +cluster too); nothing for most.
func (k Keys) Rights(u User) RedisRights {
	scripts := []string{"eval x 1 KEY", "evalsha x 1 KEY"}
	// "suppressed" and "suppression-pepper" are of versions without the suppressions
	// topic, and read for their sake.
	events, suppressions := k.Event("*"), []string{k.Prefix + "suppress*"}
	list := []string{"get KEY", "set KEY v", "exists KEY", "unlink KEY", "hget KEY f", "hmget KEY f", "hset KEY f v",
		"hdel KEY f"}
	switch u {
	case User(RoleStatus):
		return RedisRights{Keys: []string{events, k.Claim("*"), k.Prefix + "position:*"},
			Channels: []string{k.StatusNotice("*")},
			Commands: append(scripts, "info server", "time", "get KEY", "set KEY v", "hget KEY f", "hmget KEY f", "hset KEY f v",
				"hdel KEY f", "del KEY", "pexpireat KEY 1", "publish CHANNEL m", "spublish CHANNEL m")}
	case User(RoleDeliver):
		return RedisRights{Keys: append(suppressions, k.Claim("*"), k.Prefix+"position:*", k.Prefix+"cap:*",
			k.Prefix+"provider:*"),
			Commands: append(append(scripts, list...), "time", "del KEY", "pexpire KEY 1", "zadd KEY 1 m", "zcard KEY",
				"zscore KEY m", "zrem KEY m", "zremrangebyscore KEY 0 1")}
	case User(RoleReceive):
		return RedisRights{Keys: append(suppressions, events), Commands: append(append(scripts, list...), "hgetall KEY")}
	case UserReader:
		return RedisRights{Keys: []string{events}, Commands: []string{"hgetall KEY", "hmget KEY f", "hget KEY f"}}
	case UserMonitor:
		return RedisRights{Keys: []string{k.ProviderTrouble("*")}, Commands: []string{"hgetall KEY"}}
	case UserOperator:
		return RedisRights{Keys: append(suppressions, events, k.Prefix+"position:*", k.ProviderTrouble("*"),
			k.Prefix+"rebuild:*"),
			Commands: append(append(scripts, list...), "hgetall KEY", "hscan KEY 0", "scan 0", "del KEY", "pexpire KEY 1",
				"pexpireat KEY 1")}
	}
	return RedisRights{}
}
