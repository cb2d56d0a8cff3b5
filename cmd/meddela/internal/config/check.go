package config

import (
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/meddela/meddela/cmd/meddela/internal/providerfile"
	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/consumer/deliver/recipient/address"
	"github.com/meddela/meddela/consumer/deliver/recipient/suppress"
	"github.com/meddela/meddela/consumer/outbound"
	"github.com/meddela/meddela/topology"
)

// check finds what is wrong between settings; what is wrong with one alone is
// found as it is read.
func (c *Config) check() (f Faults) {
	c.Kafka.check(&f)
	c.Redis.check(&f)
	c.checkTopics(&f)
	c.Deliver.check(&f)
	if n := len(c.Recipient.Pepper); n > 0 && n < suppress.LeastPepper {
		f.add("MEDDELA_SUPPRESS_PEPPER has %d bytes, fewer than %d: make one, such as with `openssl rand -base64 32`", n,
			suppress.LeastPepper)
	}
	if region := c.Recipient.PhoneRegion; region != "" && !address.IsRegion(region) {
		f.add("MEDDELA_PHONE_REGION is %q: use a country's code of two capitals, such as SE", wording.Abridged(region))
	}
	if c.Claim.Replicas > 0 && c.Redis.Mode == "cluster" {
		f.add("MEDDELA_CLAIM_REPLICAS is %d: a cluster cannot be asked for that, set it to 0", c.Claim.Replicas)
	}
	if addr := c.HTTP.PprofAddr; addr != "" {
		checkAddress(&f, "MEDDELA_PPROF_ADDR", addr, "6060")
		if host, _, _ := net.SplitHostPort(addr); host != "" && !outbound.IsLoopback(host) {
			f.add("MEDDELA_PPROF_ADDR is %q: profiles show what is in memory, so it must be an address of this machine alone, such as 127.0.0.1:6060", addr)
		}
	}
	_, faults := c.Caps()
	return append(f, faults...)
}

func (k *KafkaSettings) check(f *Faults) {
	for _, broker := range k.Brokers {
		checkAddress(f, "MEDDELA_KAFKA_BROKERS", broker, "9092")
	}
	checkTLS(f, "MEDDELA_KAFKA_TLS", k.TLS, k.TLSCAFile, k.TLSCertFile, k.TLSKeyFile)
	login, byAWS := k.SASLUsername != "" || k.SASLPassword != "", k.SASLMechanism == "aws-msk-iam"
	switch {
	case k.SASLMechanism == "" && login:
		f.add("MEDDELA_KAFKA_SASL_MECHANISM is not set, but a Kafka user or password is: set it to plain, scram-sha-256, scram-sha-512 or oauthbearer")
	case byAWS && login:
		f.add("MEDDELA_KAFKA_SASL_MECHANISM=aws-msk-iam logs in by AWS's own credentials: unset MEDDELA_KAFKA_SASL_USERNAME and MEDDELA_KAFKA_SASL_PASSWORD")
	case !byAWS && k.AWSRegion != "":
		f.add("MEDDELA_KAFKA_AWS_REGION is set: set MEDDELA_KAFKA_SASL_MECHANISM to aws-msk-iam")
	case k.SASLMechanism != "oauthbearer" &&
		k.OAuthTokenURL+k.OAuthAudience+k.OAuthScopes.String()+k.OAuthExtensions.String()+k.OAuthCAFile != "":
		f.add("MEDDELA_KAFKA_OAUTH_… is set: set MEDDELA_KAFKA_SASL_MECHANISM to oauthbearer")
	case slices.ContainsFunc(k.OAuthExtensions, func(e string) bool { return !extension.MatchString(e) }):
		f.add("MEDDELA_KAFKA_OAUTH_EXTENSIONS must be NAME=VALUE with commas between, names in letters")
	case k.SASLMechanism != "" && !byAWS && k.SASLUsername == "" &&
		(k.SASLMechanism != "oauthbearer" || k.OAuthTokenURL != ""):
		f.add("MEDDELA_KAFKA_SASL_USERNAME is not set: MEDDELA_KAFKA_SASL_MECHANISM=%s needs it", k.SASLMechanism)
	case k.SASLMechanism != "" && !byAWS && k.SASLPassword == "":
		f.add("MEDDELA_KAFKA_SASL_PASSWORD is not set, nor MEDDELA_KAFKA_SASL_PASSWORD_FILE: MEDDELA_KAFKA_SASL_MECHANISM=%s needs one", k.SASLMechanism)
	case k.SASLMechanism != "" && !k.TLS && !k.SASLInClear:
		f.add("MEDDELA_KAFKA_TLS is false, so that who listens could log in as we do: set it to true, or MEDDELA_KAFKA_SASL_IN_CLEAR")
	}
}

// extension is one of OAUTHBEARER (RFC 7628 3.1).
var extension = regexp.MustCompile(`^[A-Za-z]+=[\x21-\x7e \t]*$`)

func (r *RedisSettings) check(f *Faults) {
	port := "6379"
	if r.Mode == "sentinel" {
		port = "26379"
	}
	for _, addr := range r.Addrs {
		checkAddress(f, "MEDDELA_REDIS_ADDRS", addr, port)
	}
	checkTLS(f, "MEDDELA_REDIS_TLS", r.TLS, r.TLSCAFile, r.TLSCertFile, r.TLSKeyFile)
	if (r.Password != "" || r.SentinelPassword != "") && !r.TLS && !r.LoginInClear {
		f.add("MEDDELA_REDIS_TLS is false, so that who listens could log in as we do: set it to true, or MEDDELA_REDIS_LOGIN_IN_CLEAR")
	}
	switch {
	case r.Mode == "sentinel" && r.MasterName == "":
		f.add("MEDDELA_REDIS_MASTER_NAME is not set: MEDDELA_REDIS_MODE=sentinel needs it")
	case r.Mode != "sentinel" && r.MasterName != "":
		f.add("MEDDELA_REDIS_MASTER_NAME is set, but MEDDELA_REDIS_MODE is %s: set it to sentinel", r.Mode)
	case r.Mode == "single" && len(r.Addrs) > 1:
		f.add("MEDDELA_REDIS_ADDRS names %d servers: set MEDDELA_REDIS_MODE to cluster or sentinel", len(r.Addrs))
	case r.Mode == "cluster" && r.DB != 0:
		f.add("MEDDELA_REDIS_DB is %d: a cluster has only 0", r.DB)
	}
	if strings.ContainsAny(r.KeyPrefix, "{} \t\r\n") {
		f.add("MEDDELA_KEY_PREFIX is %q: it may have neither blanks nor braces, which would put every key of a cluster on one node", r.KeyPrefix)
	}
}

// topicPrefix leaves room for the longest name behind it: Kafka allows 249
// characters.
var topicPrefix = regexp.MustCompile(`^[a-zA-Z0-9._-]{0,200}$`)

func (c *Config) checkTopics(f *Faults) {
	t := &c.Topics
	if !topicPrefix.MatchString(t.Prefix) {
		f.add("MEDDELA_TOPIC_PREFIX is %q: it must be up to 200 of A-Z a-z 0-9 . _ -", wording.Abridged(t.Prefix))
	}
	if t.Replication == 0 {
		f.add("MEDDELA_TOPICS_REPLICATION is 0: it must be -1 for the cluster's own default, or at least 1")
	}
	if t.BatchQuota > 0 && t.BatchQuota < 128<<10 {
		f.add("MEDDELA_TOPICS_BATCH_QUOTA is %d: it must be at least 131072, as a broker never answers with a batch of records "+
			"that is larger than eleven seconds' worth; or -1 to remove it", t.BatchQuota)
	}
	if t.Replication > 0 && t.MinInSync > t.Replication {
		f.add("MEDDELA_TOPICS_MIN_INSYNC is %d, more than MEDDELA_TOPICS_REPLICATION, %d: nothing could be written",
			t.MinInSync, t.Replication)
	}
}

func (d *DeliverSettings) check(f *Faults) {
	if d.SMTPURL != "" {
		if err := new(providerfile.File).AddMailServer(d.SMTPURL.Reveal); err != nil {
			for line := range strings.Lines(err.Error()) {
				f.add("MEDDELA_SMTP_URL: %s", strings.TrimSpace(line))
			}
		}
	}
	for _, name := range d.Sandbox {
		if name != allChannels && !slices.Contains(topology.Channels(), topology.Channel(name)) {
			f.add("MEDDELA_SANDBOX_CHANNELS has %q: use %s", wording.Abridged(name),
				wording.OrList(append(wording.Texts(topology.Channels()), allChannels)))
		}
	}
}

func checkAddress(f *Faults, variable, address, usualPort string) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		f.add("%s has %q, which is not host:port: write for example %s", variable, wording.Abridged(address),
			net.JoinHostPort("127.0.0.1", usualPort))
		return
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || host == "" {
		f.add("%s has %q: the host must not be empty, and the port must be from 1 to 65535", variable,
			wording.Abridged(address))
	}
}

func checkTLS(f *Faults, variable string, on bool, ca, cert, key string) {
	if !on && (ca != "" || cert != "" || key != "") {
		f.add("%s is false, but %s_CA_FILE, _CERT_FILE or _KEY_FILE is set: set it to true", variable, variable)
	}
	if (cert == "") != (key == "") {
		f.add("%s_CERT_FILE and %s_KEY_FILE belong together: set both or neither", variable, variable)
	}
}
