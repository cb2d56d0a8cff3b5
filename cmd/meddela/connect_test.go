package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"
)

// certificate makes a certificate of 127.0.0.1, and the files of it and its
// key.
func certificate(t *testing.T) (server *tls.Config, certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	certFile, keyFile = filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")
	for path, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: der},
		keyFile:  {Type: "PRIVATE KEY", Bytes: keyDER},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	server = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	return server, certFile, keyFile
}

func TestKafkaLoginAndEncryption(t *testing.T) {
	serverTLS, ca, key := certificate(t)
	_, otherCA, _ := certificate(t)
	broker := startKafka(t, kfake.TLS(serverTLS), kfake.EnableSASL(),
		kfake.Superuser("PLAIN", "plain", "hunter2"),
		kfake.Superuser("SCRAM-SHA-256", "scram256", "hunter2"),
		kfake.Superuser("SCRAM-SHA-512", "scram512", "hunter2")).ListenAddrs()[0]
	open := startKafka(t).ListenAddrs()[0]
	login := func(mechanism, user, password string) map[string]string {
		return map[string]string{
			"MEDDELA_KAFKA_BROKERS": broker, "MEDDELA_KAFKA_TLS": "true", "MEDDELA_KAFKA_TLS_CA_FILE": ca,
			"MEDDELA_KAFKA_SASL_MECHANISM": mechanism, "MEDDELA_KAFKA_SASL_USERNAME": user, "MEDDELA_KAFKA_SASL_PASSWORD": password,
		}
	}
	with := func(e map[string]string, also ...string) map[string]string {
		for i := 0; i < len(also); i += 2 {
			e[also[i]] = also[i+1]
		}
		return e
	}
	tests := []struct {
		name        string
		environment map[string]string
		status      int
		says        string // part of stderr
	}{
		{"PLAIN", login("plain", "plain", "hunter2"), exitOK, ""},
		{"SCRAM-SHA-256", login("scram-sha-256", "scram256", "hunter2"), exitOK, ""},
		{"SCRAM-SHA-512", login("scram-sha-512", "scram512", "hunter2"), exitOK, ""},
		{"one broker of two", with(login("plain", "plain", "hunter2"), "MEDDELA_KAFKA_BROKERS", nowhere+","+broker), exitOK, ""},
		{"with a certificate of ours", with(login("plain", "plain", "hunter2"), "MEDDELA_KAFKA_TLS_CERT_FILE", ca, "MEDDELA_KAFKA_TLS_KEY_FILE", key), exitOK, ""},
		{"wrong password", login("plain", "plain", "hunter3"), exitFailed, "correct MEDDELA_KAFKA_SASL_USERNAME, MEDDELA_KAFKA_SASL_PASSWORD or MEDDELA_KAFKA_SASL_MECHANISM"},
		{"unknown authority", with(login("plain", "plain", "hunter2"), "MEDDELA_KAFKA_TLS_CA_FILE", otherCA), exitFailed, "correct MEDDELA_KAFKA_TLS or the settings that start so"},
		{"other name", with(login("plain", "plain", "hunter2"), "MEDDELA_KAFKA_TLS_SERVER_NAME", "kafka.example"), exitFailed, "correct MEDDELA_KAFKA_TLS or the settings that start so"},
		{"no authority's file", with(login("plain", "plain", "hunter2"), "MEDDELA_KAFKA_TLS_CA_FILE", "/no/such"), exitMisused, "MEDDELA_KAFKA_TLS_CA_FILE cannot be read: open /no/such: no such file or directory"},
		{"authority's file of another kind", with(login("plain", "plain", "hunter2"), "MEDDELA_KAFKA_TLS_CA_FILE", key), exitMisused, "MEDDELA_KAFKA_TLS_CA_FILE has no certificate in PEM form"},
		{"not a key pair", with(login("plain", "plain", "hunter2"), "MEDDELA_KAFKA_TLS_CERT_FILE", otherCA, "MEDDELA_KAFKA_TLS_KEY_FILE", key), exitMisused, "MEDDELA_KAFKA_TLS_CERT_FILE and MEDDELA_KAFKA_TLS_KEY_FILE cannot be used"},
		{"plain text to an encrypted broker", map[string]string{"MEDDELA_KAFKA_BROKERS": broker}, exitFailed, "it hung up; if it wants encryption or a login, set MEDDELA_KAFKA_TLS=true"},
		{"encryption to a plain broker", map[string]string{"MEDDELA_KAFKA_BROKERS": open, "MEDDELA_KAFKA_TLS": "true"}, exitFailed, "MEDDELA_KAFKA_TLS if it wants no encryption"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			start := time.Now()
			got := meddela(t, test.environment, "", "topics", "apply", "--dry-run", "-o", "json")
			got.want(t, test.status)
			if !strings.Contains(got.err, test.says) || (test.says == "" && got.err != "") {
				t.Errorf("stderr %q\nwant   %q", got.err, test.says)
			}
			if strings.Contains(got.err, "hunter") {
				t.Errorf("the password shows: %s", got.err)
			}
			if took := time.Since(start); took > 4*time.Second {
				t.Errorf("took %s", took)
			}
		})
	}
}

// elsewhere is a listener that gives an address at which nothing listens.
type elsewhere struct{ net.Listener }

func (elsewhere) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

// Brokers that cannot be reached where they say they are is the usual fault of
// a new cluster.
func TestKafkaAdvertisesAnotherAddress(t *testing.T) {
	var broker string
	startKafka(t, kfake.ListenFn(func(network, address string) (net.Listener, error) {
		listener, err := net.Listen(network, address)
		if err == nil {
			broker = listener.Addr().String()
		}
		return elsewhere{listener}, err
	}))
	got := meddela(t, map[string]string{"MEDDELA_KAFKA_BROKERS": broker}, "", "topics", "apply")
	got.want(t, exitFailed)
	want := "meddela: cannot use Kafka: it answers at " + broker + ", but says that its brokers are at " + nowhere +
		": connect: connection refused: correct the brokers' advertised.listeners\n"
	if got.err != want {
		t.Errorf("stderr %q\nwant   %q", got.err, want)
	}
}

func TestRedisLoginAndEncryption(t *testing.T) {
	serverTLS, ca, _ := certificate(t)
	secured := startRedis(t, serverTLS)
	secured.RequireUserAuth("kim", "hunter2")
	open := startRedis(t, nil)
	login := func(user, password string) map[string]string {
		return map[string]string{
			"MEDDELA_REDIS_ADDRS": secured.Addr(), "MEDDELA_REDIS_TLS": "true", "MEDDELA_REDIS_TLS_CA_FILE": ca,
			"MEDDELA_REDIS_USERNAME": user, "MEDDELA_REDIS_PASSWORD": password,
		}
	}
	tests := []struct {
		name        string
		environment map[string]string
		says        string
	}{
		// An unknown event is what a server that was reached comes to.
		{"open", map[string]string{"MEDDELA_REDIS_ADDRS": open.Addr()}, "nothing is known of x"},
		{"cluster", map[string]string{"MEDDELA_REDIS_ADDRS": open.Addr(), "MEDDELA_REDIS_MODE": "cluster"}, "nothing is known of x"},
		{"TLS and ACL user", login("kim", "hunter2"), "nothing is known of x"},
		{"wrong password", login("kim", "hunter3"), "correct MEDDELA_REDIS_USERNAME or MEDDELA_REDIS_PASSWORD"},
		{"no password", map[string]string{"MEDDELA_REDIS_ADDRS": secured.Addr(), "MEDDELA_REDIS_TLS": "true", "MEDDELA_REDIS_TLS_CA_FILE": ca}, "correct MEDDELA_REDIS_USERNAME or MEDDELA_REDIS_PASSWORD"},
		{"unknown authority", map[string]string{"MEDDELA_REDIS_ADDRS": secured.Addr(), "MEDDELA_REDIS_TLS": "true"}, "correct MEDDELA_REDIS_TLS or the settings that start so"},
		{"plain text to an encrypted server", map[string]string{"MEDDELA_REDIS_ADDRS": secured.Addr()}, "MEDDELA_REDIS_TLS=true"},
		{"sentinels away", map[string]string{"MEDDELA_REDIS_ADDRS": nowhere, "MEDDELA_REDIS_MODE": "sentinel", "MEDDELA_REDIS_MASTER_NAME": "m"}, "start it, or correct MEDDELA_REDIS_ADDRS"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			start := time.Now()
			got := meddela(t, test.environment, "", "status", "x")
			got.want(t, exitFailed)
			if !strings.Contains(got.err, test.says) || strings.Count(got.err, "\n") != 1 {
				t.Errorf("stderr %q, want one line with %q", got.err, test.says)
			}
			if took := time.Since(start); took > 4*time.Second {
				t.Errorf("took %s", took)
			}
		})
	}
}

func TestCheckRedisVersion(t *testing.T) {
	for _, test := range []struct{ info, want string }{
		{"# Server\r\nredis_version:7.0.15\r\n", ""},
		{"# Server\r\nserver_name:valkey\r\nredis_version:7.2.4\r\nvalkey_version:8.1.0\r\n", ""},
		{"redis_version:10.1.0\r\n", ""},
		{"redis_version:unstable\r\n", ""},
		{"# Clients\r\nconnected_clients:1\r\n", ""},
		{"", ""},
		{"# Server\r\nredis_version:6.2.14\r\nredis_mode:standalone\r\n", "it is version 6.2.14, and meddela needs 7 or later"},
	} {
		got := ""
		if err := checkRedisVersion(test.info); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("of %q: %q, want %q", test.info, got, test.want)
		}
	}
}

func TestCompression(t *testing.T) {
	for name, want := range map[string]kafka.Compression{
		"none": 0, "gzip": kafka.Gzip, "snappy": kafka.Snappy, "lz4": kafka.Lz4, "zstd": kafka.Zstd,
	} {
		settings := KafkaSettings{Compression: name}
		if got := settings.compression(); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
}
