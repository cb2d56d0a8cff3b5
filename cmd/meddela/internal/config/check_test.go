package config

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/meddela/meddela/cmd/meddela/internal/testenv"
)

func TestFaultsBetweenSettings(t *testing.T) {
	tests := []struct {
		name string
		set  map[string]string
		want Faults
	}{
		{name: "SASL", set: map[string]string{"MEDDELA_KAFKA_TLS": "true",
			"MEDDELA_KAFKA_SASL_MECHANISM": "plain", "MEDDELA_KAFKA_SASL_USERNAME": "u", "MEDDELA_KAFKA_SASL_PASSWORD": "p",
		}},
		{name: "a region that is a word", set: map[string]string{"MEDDELA_PHONE_REGION": "Sweden"}, want: Faults{
			`MEDDELA_PHONE_REGION is "Sweden": use a country's code of two capitals, such as SE`}},
		{name: "a region", set: map[string]string{"MEDDELA_PHONE_REGION": "SE"}},
		{name: "profiles for everybody", set: map[string]string{"MEDDELA_PPROF_ADDR": "0.0.0.0:6060"}, want: Faults{
			`MEDDELA_PPROF_ADDR is "0.0.0.0:6060": profiles show what is in memory, so it must be an address of this machine alone, such as 127.0.0.1:6060`}},
		{name: "profiles", set: map[string]string{"MEDDELA_PPROF_ADDR": "localhost:6060"}},
		{name: "logins in clear", set: map[string]string{"MEDDELA_REDIS_PASSWORD": "p",
			"MEDDELA_KAFKA_SASL_MECHANISM": "scram-sha-512", "MEDDELA_KAFKA_SASL_USERNAME": "u",
			"MEDDELA_KAFKA_SASL_PASSWORD": "p",
		}, want: Faults{
			"MEDDELA_KAFKA_TLS is false, so that who listens could log in as we do: set it to true, or MEDDELA_KAFKA_SASL_IN_CLEAR",
			"MEDDELA_REDIS_TLS is false, so that who listens could log in as we do: set it to true, or MEDDELA_REDIS_LOGIN_IN_CLEAR",
		}},
		{name: "a sentinel's login in clear", set: map[string]string{"MEDDELA_REDIS_SENTINEL_PASSWORD": "p"}, want: Faults{
			"MEDDELA_REDIS_TLS is false, so that who listens could log in as we do: set it to true, or MEDDELA_REDIS_LOGIN_IN_CLEAR"}},
		{name: "logins in clear that are wanted", set: map[string]string{"MEDDELA_REDIS_PASSWORD": "p",
			"MEDDELA_REDIS_LOGIN_IN_CLEAR": "true", "MEDDELA_KAFKA_SASL_IN_CLEAR": "true",
			"MEDDELA_KAFKA_SASL_MECHANISM": "scram-sha-512", "MEDDELA_KAFKA_SASL_USERNAME": "u",
			"MEDDELA_KAFKA_SASL_PASSWORD": "p",
		}},
		{
			name: "SASL without mechanism", set: map[string]string{"MEDDELA_KAFKA_SASL_USERNAME": "u"},
			want: Faults{"MEDDELA_KAFKA_SASL_MECHANISM is not set, but a Kafka user or password is: set it to plain, scram-sha-256, scram-sha-512 or oauthbearer"},
		}, {
			name: "OAuth of another mechanism", set: map[string]string{"MEDDELA_KAFKA_OAUTH_SCOPES": "kafka"},
			want: Faults{"MEDDELA_KAFKA_OAUTH_… is set: set MEDDELA_KAFKA_SASL_MECHANISM to oauthbearer"},
		}, {
			name: "a region of AWS for another mechanism", set: map[string]string{"MEDDELA_KAFKA_AWS_REGION": "eu-north-1"},
			want: Faults{"MEDDELA_KAFKA_AWS_REGION is set: set MEDDELA_KAFKA_SASL_MECHANISM to aws-msk-iam"},
		}, {
			name: "a password for AWS", set: map[string]string{"MEDDELA_KAFKA_SASL_MECHANISM": "aws-msk-iam",
				"MEDDELA_KAFKA_TLS": "true", "MEDDELA_KAFKA_SASL_PASSWORD": "p"},
			want: Faults{"MEDDELA_KAFKA_SASL_MECHANISM=aws-msk-iam logs in by AWS's own credentials: unset MEDDELA_KAFKA_SASL_USERNAME and MEDDELA_KAFKA_SASL_PASSWORD"},
		}, {
			name: "AWS in clear", set: map[string]string{"MEDDELA_KAFKA_SASL_MECHANISM": "aws-msk-iam"},
			want: Faults{"MEDDELA_KAFKA_TLS is false, so that who listens could log in as we do: set it to true, or MEDDELA_KAFKA_SASL_IN_CLEAR"},
		}, {
			name: "AWS", set: map[string]string{"MEDDELA_KAFKA_SASL_MECHANISM": "aws-msk-iam", "MEDDELA_KAFKA_TLS": "true"},
		}, {
			name: "an authority of tokens for another mechanism",
			set:  map[string]string{"MEDDELA_KAFKA_OAUTH_CA_FILE": "ca.crt"},
			want: Faults{"MEDDELA_KAFKA_OAUTH_… is set: set MEDDELA_KAFKA_SASL_MECHANISM to oauthbearer"},
		}, {
			name: "extensions", set: map[string]string{"MEDDELA_KAFKA_SASL_MECHANISM": "oauthbearer",
				"MEDDELA_KAFKA_SASL_PASSWORD": "t", "MEDDELA_KAFKA_TLS": "true",
				"MEDDELA_KAFKA_OAUTH_EXTENSIONS": "logicalCluster"},
			want: Faults{"MEDDELA_KAFKA_OAUTH_EXTENSIONS must be NAME=VALUE with commas between, names in letters"},
		}, {
			name: "a token as it is", set: map[string]string{"MEDDELA_KAFKA_SASL_MECHANISM": "oauthbearer",
				"MEDDELA_KAFKA_SASL_PASSWORD": "t", "MEDDELA_KAFKA_TLS": "true"},
		}, {
			name: "SASL without user", set: map[string]string{"MEDDELA_KAFKA_SASL_MECHANISM": "plain"},
			want: Faults{"MEDDELA_KAFKA_SASL_USERNAME is not set: MEDDELA_KAFKA_SASL_MECHANISM=plain needs it"},
		}, {
			name: "SASL without password", set: map[string]string{"MEDDELA_KAFKA_SASL_MECHANISM": "plain",
				"MEDDELA_KAFKA_SASL_USERNAME": "u"},
			want: Faults{"MEDDELA_KAFKA_SASL_PASSWORD is not set, nor MEDDELA_KAFKA_SASL_PASSWORD_FILE: MEDDELA_KAFKA_SASL_MECHANISM=plain needs one"},
		}, {
			name: "TLS files without TLS", set: map[string]string{"MEDDELA_KAFKA_TLS_CA_FILE": "ca.pem"},
			want: Faults{"MEDDELA_KAFKA_TLS is false, but MEDDELA_KAFKA_TLS_CA_FILE, _CERT_FILE or _KEY_FILE is set: set it to true"},
		}, {
			name: "half a key pair", set: map[string]string{"MEDDELA_REDIS_TLS": "true", "MEDDELA_REDIS_TLS_CERT_FILE": "c.pem"},
			want: Faults{"MEDDELA_REDIS_TLS_CERT_FILE and MEDDELA_REDIS_TLS_KEY_FILE belong together: set both or neither"},
		}, {
			name: "addresses", set: map[string]string{"MEDDELA_KAFKA_BROKERS": "a,b:9092,:1,c:x,d:0,[::1]:9092"},
			want: Faults{
				`MEDDELA_KAFKA_BROKERS has "a", which is not host:port: write for example 127.0.0.1:9092`,
				`MEDDELA_KAFKA_BROKERS has ":1": the host must not be empty, and the port must be from 1 to 65535`,
				`MEDDELA_KAFKA_BROKERS has "c:x": the host must not be empty, and the port must be from 1 to 65535`,
				`MEDDELA_KAFKA_BROKERS has "d:0": the host must not be empty, and the port must be from 1 to 65535`,
			},
		}, {
			name: "sentinels without a master", set: map[string]string{"MEDDELA_REDIS_MODE": "sentinel",
				"MEDDELA_REDIS_ADDRS": "a"},
			want: Faults{
				`MEDDELA_REDIS_ADDRS has "a", which is not host:port: write for example 127.0.0.1:26379`,
				"MEDDELA_REDIS_MASTER_NAME is not set: MEDDELA_REDIS_MODE=sentinel needs it",
			},
		}, {
			name: "a master without sentinels", set: map[string]string{"MEDDELA_REDIS_MASTER_NAME": "m"},
			want: Faults{"MEDDELA_REDIS_MASTER_NAME is set, but MEDDELA_REDIS_MODE is single: set it to sentinel"},
		}, {
			name: "several servers that are one", set: map[string]string{"MEDDELA_REDIS_ADDRS": "a:1,b:1"},
			want: Faults{"MEDDELA_REDIS_ADDRS names 2 servers: set MEDDELA_REDIS_MODE to cluster or sentinel"},
		}, {
			name: "a cluster's database", set: map[string]string{"MEDDELA_REDIS_MODE": "cluster", "MEDDELA_REDIS_DB": "2"},
			want: Faults{"MEDDELA_REDIS_DB is 2: a cluster has only 0"},
		}, {
			name: "a key prefix with a hash tag", set: map[string]string{"MEDDELA_KEY_PREFIX": "{m}:"},
			want: Faults{`MEDDELA_KEY_PREFIX is "{m}:": it may have neither blanks nor braces, which would put every key of a cluster on one node`},
		}, {
			name: "a topic prefix", set: map[string]string{"MEDDELA_TOPIC_PREFIX": "a/b"},
			want: Faults{`MEDDELA_TOPIC_PREFIX is "a/b": it must be up to 200 of A-Z a-z 0-9 . _ -`},
		}, {
			name: "no replicas", set: map[string]string{"MEDDELA_TOPICS_REPLICATION": "0"},
			want: Faults{"MEDDELA_TOPICS_REPLICATION is 0: it must be -1 for the cluster's own default, or at least 1"},
		}, {
			name: "a quota below a batch", set: map[string]string{"MEDDELA_TOPICS_BATCH_QUOTA": "8000"},
			want: Faults{"MEDDELA_TOPICS_BATCH_QUOTA is 8000: it must be at least 131072, as a broker never answers with a batch " +
				"of records that is larger than eleven seconds' worth; or -1 to remove it"},
		}, {
			name: "too few replicas", set: map[string]string{"MEDDELA_TOPICS_REPLICATION": "1",
				"MEDDELA_TOPICS_MIN_INSYNC": "2"},
			want: Faults{"MEDDELA_TOPICS_MIN_INSYNC is 2, more than MEDDELA_TOPICS_REPLICATION, 1: nothing could be written"},
		}, {
			name: "a mail server", set: map[string]string{"MEDDELA_SMTP_URL": "smtp://u:p%40ss@mail:2525?from=shop@example.com"},
		}, {
			name: "a mail server with many faults",
			set:  map[string]string{"MEDDELA_SMTP_URL": "smtp://hunter2@mail:70000?tls=ssl"},
			want: Faults{
				"MEDDELA_SMTP_URL: tls must be none, starttls or starttls-if-offered; smtps:// is TLS from the first byte",
				"MEDDELA_SMTP_URL: the port must be from 1 to 65535",
				"MEDDELA_SMTP_URL: it has no sender: add ?from=shop@example.com",
				"MEDDELA_SMTP_URL: user and password belong together: give both or neither",
			},
		}, {
			name: "sandbox of what is no channel", set: map[string]string{"MEDDELA_SANDBOX_CHANNELS": "sms,fax"},
			want: Faults{`MEDDELA_SANDBOX_CHANNELS has "fax": use email, sms, push, webhook or all`},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			testenv.OnlyThese(t, test.set)
			if _, got := ReadSettings(new(Config), new(pflag.FlagSet)); !slices.Equal(got, test.want) {
				t.Errorf("faults:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
		})
	}
}
