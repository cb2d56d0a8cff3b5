// Package config has the settings: what there is to set, how environment, files and
// flags are read, and what is wrong with them.
package config

import (
	"cmp"
	"time"

	"github.com/meddela/meddela/cmd/meddela/internal/build"
	"github.com/meddela/meddela/topology"
)

// Config is everything that can be configured. Each setting is one environment
// variable, named by its envconfig tag; a Secret may also be read from the
// file that the same variable with _FILE behind it names. allowed, min and max
// bound the value; nothing below needs to check them again.
type Config struct {
	Kafka  KafkaSettings
	Redis  RedisSettings
	Topics struct {
		Prefix               string `envconfig:"MEDDELA_TOPIC_PREFIX" default:"meddela." desc:"starts every topic and consumer group, separator included; - is none"`
		Partitions           int    `envconfig:"MEDDELA_TOPICS_PARTITIONS" default:"12" min:"1" max:"10000" desc:"partitions of each topic of a lane: the most consumers that can share a role"`
		DeadLetterPartitions int    `envconfig:"MEDDELA_TOPICS_DEAD_LETTER_PARTITIONS" default:"3" min:"1" max:"10000" desc:"partitions of each lane's dead letters"`
		Replication          int    `envconfig:"MEDDELA_TOPICS_REPLICATION" default:"-1" min:"-1" max:"100" desc:"replicas of each partition; -1 is the cluster's own default"`
		BatchQuota           int    `envconfig:"MEDDELA_TOPICS_BATCH_QUOTA" default:"0" min:"-1" desc:"bytes a second that each broker lets roles of the batch lane read, and as many write; set by topics apply; at least 131072; 0 leaves it as it is, -1 removes it"`
		IDWithOrigin         bool   `envconfig:"MEDDELA_EVENTS_ID_WITH_ORIGIN" default:"false" desc:"the id of an event in plain JSON that has an origin is ORIGIN#ID, as that of a CloudEvent is SOURCE#ID, so that two systems may give the same ids; the same in every process and command, from the start"`
		MinInSync            int    `envconfig:"MEDDELA_TOPICS_MIN_INSYNC" default:"0" min:"0" max:"100" desc:"replicas that must have a record before it counts as written; 0 is the cluster's own default"`
	}
	Log struct {
		Level  string `envconfig:"MEDDELA_LOG_LEVEL" default:"info" allowed:"trace,debug,info,warn,error" desc:"the least of what is logged"`
		Format string `envconfig:"MEDDELA_LOG_FORMAT" default:"auto" allowed:"auto,json,console" desc:"form of the log; auto is console on a terminal, json elsewhere"`
	}
	HTTP struct {
		Addr      string `envconfig:"MEDDELA_HTTP_ADDR" default:"127.0.0.1:9090" desc:"where a role serves /livez, /readyz, /startupz, /version and /metrics; - is nowhere. The default is left out where another process has it"`
		PprofAddr string `envconfig:"MEDDELA_PPROF_ADDR" desc:"where a role serves Go's profiles, such as 127.0.0.1:6060; default: nowhere"`
	}
	Trace struct {
		Endpoint string  `envconfig:"MEDDELA_TRACE_ENDPOINT" desc:"OTLP/HTTP collector that traces are sent to, such as http://127.0.0.1:4318; default: nothing is traced"`
		Sample   float64 `envconfig:"MEDDELA_TRACE_SAMPLE" default:"0.01" min:"0" max:"1" desc:"share of the events without a trace of their own that are traced; those with one are traced as it says"`
	}
	Loop struct {
		FetchBytes     int           `envconfig:"MEDDELA_LOOP_FETCH_BYTES" default:"262144" min:"1024" max:"67108864" desc:"most bytes fetched from a partition at once, unpacked, and never more than half of MEDDELA_LOOP_IN_FLIGHT_BYTES; a larger batch comes alone. Lower it where one batch is in work for too long"`
		InFlightBytes  int           `envconfig:"MEDDELA_LOOP_IN_FLIGHT_BYTES" default:"8388608" min:"65536" max:"1073741824" desc:"most bytes that a process has in flight over all partitions: fetched, unpacked and not acknowledged yet; but beside it come the one batch that each partition may always have, of at most 1 MiB unpacked, and for the whole process one compressed batch that is larger, of at most 32 MiB. Raise it where records are large and processors idle although the role lags. Go's runtime keeps below 48 MiB and four times this where it can, and what is resident is some 25 MiB more, the program itself; a container's memory limit must be well above that"`
		Yield          bool          `envconfig:"MEDDELA_LOOP_YIELD" default:"true" desc:"while records are published to realtime.events, and two seconds after, roles of the batch lane keep little in flight and rest as long as they work (at most 200 ms), so that servers and processors that both lanes use are free for the other; false where none is shared, or where batches come first"`
		CommitInterval time.Duration `envconfig:"MEDDELA_LOOP_COMMIT_INTERVAL" default:"100ms" min:"10ms" max:"1m" desc:"how often offsets are committed"`
		SessionTimeout time.Duration `envconfig:"MEDDELA_LOOP_SESSION_TIMEOUT" default:"10s" min:"6s" max:"5m" desc:"how long a process that died keeps its partitions"`
		Grace          time.Duration `envconfig:"MEDDELA_LOOP_GRACE" default:"20s" min:"1s" max:"10m" desc:"how long a stopped process may take to finish what it has fetched"`
	}
	Templates struct {
		Types        List          `envconfig:"MEDDELA_TEMPLATES_TYPES" desc:"event types whose templates the commands may change, such as order_*,parcel_arrived; default: all"`
		StartTimeout time.Duration `envconfig:"MEDDELA_TEMPLATES_START_TIMEOUT" default:"1m" min:"1s" max:"1h" desc:"how long a starting role tries to read the templates before it stops with an error"`
	}
	Status struct {
		TTL         time.Duration `envconfig:"MEDDELA_STATUS_TTL" default:"720h" min:"1m" desc:"how long Redis keeps an event's status after its last change"`
		NoticesFile string        `envconfig:"MEDDELA_NOTICES_FILE" desc:"file that says which webhooks role notify tells what became of events"`
		PubSub      bool          `envconfig:"MEDDELA_STATUS_PUBSUB" default:"false" desc:"announce changes of a status by Redis Pub/Sub; under load only the last of several that come together"`
	}
	Deliver DeliverSettings
	Claim   struct {
		Lease    time.Duration `envconfig:"MEDDELA_CLAIM_LEASE" default:"15s" min:"11s" max:"1h" desc:"how long a deliverer owns a job that it is sending; another takes over a dead one's jobs after it"`
		TTL      time.Duration `envconfig:"MEDDELA_CLAIM_TTL" default:"192h" min:"1h" desc:"how long the outcome of a job is remembered, so that a repeated job sends nothing; longer than the jobs topics keep it"`
		Replicas int           `envconfig:"MEDDELA_CLAIM_REPLICAS" default:"0" min:"0" max:"5" desc:"how many replicas of Redis must have a claim before its message is sent, which costs a round trip to them; not with mode cluster"`
	}
	Recipient struct {
		Pepper      Secret `envconfig:"MEDDELA_SUPPRESS_PEPPER" desc:"secret of at least 32 bytes that addresses are hashed with, for suppressions and caps; the same in every process and command, for ever"`
		PhoneRegion string `envconfig:"MEDDELA_PHONE_REGION" desc:"country, such as SE, whose phone numbers may come without its code; the same in every process and command. Default: such numbers are handed on as they are, and are not the same as those with the code"`
		CapEmail    string `envconfig:"MEDDELA_CAP_EMAIL" desc:"most e-mails that an address gets in a time, such as 5/24h; urgent templates pass; default: any number"`
		CapSMS      string `envconfig:"MEDDELA_CAP_SMS" desc:"most text messages that a number gets in a time, such as 3/1h"`
		CapPush     string `envconfig:"MEDDELA_CAP_PUSH" desc:"most push messages that a device gets in a time"`
	}
	Receive struct {
		Addr     string `envconfig:"MEDDELA_RECEIVE_ADDR" default:"127.0.0.1:9095" desc:"where role receive takes providers' receipts, by HTTP: at a path that ends with the provider's name; - is nowhere"`
		SMTPAddr string `envconfig:"MEDDELA_RECEIVE_SMTP_ADDR" desc:"where role receive takes bounces by SMTP, such as :2525; default: nowhere"`
	}
	Audit struct {
		Every time.Duration `envconfig:"MEDDELA_AUDIT_EVERY" default:"5s" min:"100ms" max:"1m" desc:"how often role audit looks"`
		Wait  time.Duration `envconfig:"MEDDELA_AUDIT_WAIT" default:"15s" min:"0s" max:"24h" desc:"how long after a job was committed role audit waits for its entry: nothing is needed for role deliver; as long as it takes, for another engine that commits jobs before it has tried them"`
	}
	Sandbox struct {
		Latency  time.Duration `envconfig:"MEDDELA_SANDBOX_LATENCY" default:"0s" min:"0s" max:"1m" desc:"how long the sandbox takes to accept a message"`
		Dir      string        `envconfig:"MEDDELA_SANDBOX_DIR" desc:"folder that the sandbox writes each message to; default: none, they are kept in memory"`
		File     string        `envconfig:"MEDDELA_SANDBOX_FILE" desc:"file that the sandbox appends each message to, as a line of JSON; several processes may share one"`
		FailRate float64       `envconfig:"MEDDELA_SANDBOX_FAIL_RATE" default:"0" min:"0" max:"1" desc:"share of messages that the sandbox refuses, 0 to 1"`
	}
}

// KafkaSettings say how to reach Kafka.
type KafkaSettings struct {
	Brokers         List   `envconfig:"MEDDELA_KAFKA_BROKERS" flag:"kafka-brokers" desc:"Kafka brokers to start from, host:port, separated by commas"`
	ClientID        string `envconfig:"MEDDELA_KAFKA_CLIENT_ID" default:"meddela" desc:"what brokers log and meter us as; roles with their lane behind it, such as meddela-batch"`
	Instance        string `envconfig:"MEDDELA_KAFKA_INSTANCE" desc:"name of this process in its consumer groups (group.instance.id) that no other has, and that it keeps when it is started again, such as its pod's: back within 10 s, it has its partitions again at once, and nobody else's move"`
	Compression     string `envconfig:"MEDDELA_KAFKA_COMPRESSION" default:"none" allowed:"none,gzip,snappy,lz4,zstd" desc:"compression of what is published"`
	TLS             bool   `envconfig:"MEDDELA_KAFKA_TLS" default:"false" desc:"encrypt connections to Kafka"`
	TLSCAFile       string `envconfig:"MEDDELA_KAFKA_TLS_CA_FILE" desc:"certificates of the authorities to trust, PEM; default: the system's"`
	TLSCertFile     string `envconfig:"MEDDELA_KAFKA_TLS_CERT_FILE" desc:"our certificate, PEM, for brokers that ask for one"`
	TLSKeyFile      string `envconfig:"MEDDELA_KAFKA_TLS_KEY_FILE" desc:"the key of our certificate, PEM"`
	TLSServerName   string `envconfig:"MEDDELA_KAFKA_TLS_SERVER_NAME" desc:"the name that brokers' certificates must bear; default: the host of each address"`
	SASLMechanism   string `envconfig:"MEDDELA_KAFKA_SASL_MECHANISM" allowed:"plain,scram-sha-256,scram-sha-512,oauthbearer,aws-msk-iam" desc:"how to log in to Kafka; default: not at all"`
	SASLUsername    string `envconfig:"MEDDELA_KAFKA_SASL_USERNAME" desc:"Kafka user; of oauthbearer the client's id"`
	SASLPassword    Secret `envconfig:"MEDDELA_KAFKA_SASL_PASSWORD" desc:"Kafka user's password; of oauthbearer the client's secret, or without a token endpoint the token itself"`
	OAuthTokenURL   string `envconfig:"MEDDELA_KAFKA_OAUTH_TOKEN_URL" desc:"where oauthbearer gets tokens by client credentials, https, or http within private networks"`
	OAuthScopes     List   `envconfig:"MEDDELA_KAFKA_OAUTH_SCOPES" desc:"scopes of the token, with commas between"`
	OAuthAudience   string `envconfig:"MEDDELA_KAFKA_OAUTH_AUDIENCE" desc:"audience of the token, where the token endpoint wants one"`
	OAuthExtensions List   `envconfig:"MEDDELA_KAFKA_OAUTH_EXTENSIONS" desc:"what the broker is told beside the token, such as logicalCluster=lkc-1,identityPoolId=pool-1"`
	OAuthCAFile     string `envconfig:"MEDDELA_KAFKA_OAUTH_CA_FILE" desc:"certificates of the authorities to trust at the token endpoint, PEM; default: the system's"`
	AWSRegion       string `envconfig:"MEDDELA_KAFKA_AWS_REGION" desc:"region of the cluster that aws-msk-iam logs in to; default: that in the brokers' names, else AWS's own (AWS_REGION)"`
	SASLInClear     bool   `envconfig:"MEDDELA_KAFKA_SASL_IN_CLEAR" default:"false" desc:"log in to Kafka although the connection is not encrypted"`
}

// LaneClient is what brokers know a lane's roles as.
func (k *KafkaSettings) LaneClient(lane topology.Lane) string {
	return cmp.Or(k.ClientID, "meddela") + "-" + string(lane)
}

// RedisSettings say how to reach Redis, or Valkey.
type RedisSettings struct {
	Addrs            List   `envconfig:"MEDDELA_REDIS_ADDRS" flag:"redis-addrs" desc:"Redis servers to start from, host:port, separated by commas; sentinels in mode sentinel"`
	Mode             string `envconfig:"MEDDELA_REDIS_MODE" default:"single" allowed:"single,cluster,sentinel" desc:"what the addresses are"`
	MasterName       string `envconfig:"MEDDELA_REDIS_MASTER_NAME" desc:"the name that sentinels know the master by"`
	Username         string `envconfig:"MEDDELA_REDIS_USERNAME" desc:"Redis ACL user"`
	Password         Secret `envconfig:"MEDDELA_REDIS_PASSWORD" desc:"Redis password"`
	SentinelUsername string `envconfig:"MEDDELA_REDIS_SENTINEL_USERNAME" desc:"ACL user of the sentinels themselves"`
	SentinelPassword Secret `envconfig:"MEDDELA_REDIS_SENTINEL_PASSWORD" desc:"password of the sentinels themselves"`
	LoginInClear     bool   `envconfig:"MEDDELA_REDIS_LOGIN_IN_CLEAR" default:"false" desc:"send passwords to Redis although the connection is not encrypted"`
	DB               int    `envconfig:"MEDDELA_REDIS_DB" default:"0" min:"0" desc:"Redis database number; a cluster has only 0"`
	TLS              bool   `envconfig:"MEDDELA_REDIS_TLS" default:"false" desc:"encrypt connections to Redis"`
	TLSCAFile        string `envconfig:"MEDDELA_REDIS_TLS_CA_FILE" desc:"certificates of the authorities to trust, PEM; default: the system's"`
	TLSCertFile      string `envconfig:"MEDDELA_REDIS_TLS_CERT_FILE" desc:"our certificate, PEM, for servers that ask for one"`
	TLSKeyFile       string `envconfig:"MEDDELA_REDIS_TLS_KEY_FILE" desc:"the key of our certificate, PEM"`
	TLSServerName    string `envconfig:"MEDDELA_REDIS_TLS_SERVER_NAME" desc:"the name that servers' certificates must bear; default: the host of each address"`
	KeyPrefix        string `envconfig:"MEDDELA_KEY_PREFIX" default:"meddela:" desc:"starts every Redis key, separator included; - is none"`
}

// DeliverSettings choose the providers of each channel.
type DeliverSettings struct {
	File    string `envconfig:"MEDDELA_PROVIDERS_FILE" desc:"file that says which providers each channel has"`
	SMTPURL Secret `envconfig:"MEDDELA_SMTP_URL" desc:"one mail server for e-mail, instead of a file: smtp://user:password@host:587?from=shop@example.com, smtps:// for TLS from the first byte; also from_name, and tls=none, starttls (default) or starttls-if-offered"`
	Sandbox List   `envconfig:"MEDDELA_SANDBOX_CHANNELS" desc:"channels whose messages go to the sandbox, which sends nothing, such as sms,push; all is every channel"`
}

// Names are the topics of this installation.
func (c *Config) Names() topology.Topics {
	return topology.Topics{Prefix: dashIsNone(c.Topics.Prefix), IDWithOrigin: c.Topics.IDWithOrigin,
		Build: build.Name()}
}

// Keys are the Redis keys of this installation.
func (c *Config) Keys() topology.Keys { return topology.Keys{Prefix: dashIsNone(c.Redis.KeyPrefix)} }

// Sizing is how topics are to be created.
func (c *Config) Sizing() topology.Sizing {
	t := &c.Topics
	return topology.Sizing{Partitions: t.Partitions, DeadLetterPartitions: t.DeadLetterPartitions,
		Replication: t.Replication, MinInSync: t.MinInSync}
}

func dashIsNone(prefix string) string {
	if prefix == "-" {
		return ""
	}
	return prefix
}
