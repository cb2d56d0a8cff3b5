package cli

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/saslauthenticate"
	"github.com/segmentio/kafka-go/protocol/saslhandshake"
	"github.com/spf13/pflag"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/meddela/meddela/cmd/meddela/internal/cli/clitest"
	"github.com/meddela/meddela/cmd/meddela/internal/cli/command"
	"github.com/meddela/meddela/cmd/meddela/internal/config"
	"github.com/meddela/meddela/cmd/meddela/internal/connect"
	"github.com/meddela/meddela/cmd/meddela/internal/testenv"
	"github.com/meddela/meddela/test/fixtures"
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
	server = &tls.Config{MinVersion: tls.VersionTLS12,
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	return server, certFile, keyFile
}

func TestKafkaLoginAndEncryption(t *testing.T) {
	serverTLS, ca, key := certificate(t)
	_, otherCA, _ := certificate(t)
	broker := clitest.StartKafka(t, kfake.TLS(serverTLS), kfake.EnableSASL(),
		kfake.Superuser("PLAIN", "plain", "hunter2"),
		kfake.Superuser("SCRAM-SHA-256", "scram256", "hunter2"),
		kfake.Superuser("SCRAM-SHA-512", "scram512", "hunter2")).ListenAddrs()[0]
	open := clitest.StartKafka(t).ListenAddrs()[0]
	login := func(mechanism, user, password string) map[string]string {
		return map[string]string{
			"MEDDELA_KAFKA_BROKERS": broker, "MEDDELA_KAFKA_TLS": "true", "MEDDELA_KAFKA_TLS_CA_FILE": ca,
			"MEDDELA_KAFKA_SASL_MECHANISM": mechanism, "MEDDELA_KAFKA_SASL_USERNAME": user,
			"MEDDELA_KAFKA_SASL_PASSWORD": password,
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
		{"PLAIN", login("plain", "plain", "hunter2"), command.ExitOK, ""},
		{"SCRAM-SHA-256", login("scram-sha-256", "scram256", "hunter2"), command.ExitOK, ""},
		{"SCRAM-SHA-512", login("scram-sha-512", "scram512", "hunter2"), command.ExitOK, ""},
		{"one broker of two", with(login("plain", "plain", "hunter2"), "MEDDELA_KAFKA_BROKERS", clitest.Nowhere+","+broker),
			command.ExitOK, ""},
		{"with a certificate of ours", with(login("plain", "plain", "hunter2"), "MEDDELA_KAFKA_TLS_CERT_FILE", ca,
			"MEDDELA_KAFKA_TLS_KEY_FILE", key), command.ExitOK, ""},
		{"wrong password", login("plain", "plain", "hunter3"), command.ExitFailed,
			"correct MEDDELA_KAFKA_SASL_USERNAME, MEDDELA_KAFKA_SASL_PASSWORD or MEDDELA_KAFKA_SASL_MECHANISM"},
		{"unknown authority", with(login("plain", "plain", "hunter2"), "MEDDELA_KAFKA_TLS_CA_FILE", otherCA),
			command.ExitFailed, "correct MEDDELA_KAFKA_TLS or the settings that start so"},
		{"other name", with(login("plain", "plain", "hunter2"), "MEDDELA_KAFKA_TLS_SERVER_NAME", "kafka.example"),
			command.ExitFailed, "correct MEDDELA_KAFKA_TLS or the settings that start so"},
		{"no authority's file", with(login("plain", "plain", "hunter2"), "MEDDELA_KAFKA_TLS_CA_FILE", "/no/such"),
			command.ExitMisused, "MEDDELA_KAFKA_TLS_CA_FILE cannot be read: open /no/such: no such file or directory"},
		{"authority's file of another kind", with(login("plain", "plain", "hunter2"), "MEDDELA_KAFKA_TLS_CA_FILE", key),
			command.ExitMisused, "MEDDELA_KAFKA_TLS_CA_FILE has no certificate in PEM form"},
		{"not a key pair", with(login("plain", "plain", "hunter2"), "MEDDELA_KAFKA_TLS_CERT_FILE", otherCA,
			"MEDDELA_KAFKA_TLS_KEY_FILE",
			key), command.ExitMisused, "MEDDELA_KAFKA_TLS_CERT_FILE and MEDDELA_KAFKA_TLS_KEY_FILE cannot be used"},
		{"plain text to an encrypted broker", map[string]string{"MEDDELA_KAFKA_BROKERS": broker}, command.ExitFailed,
			"it hung up; if it wants encryption or a login, set MEDDELA_KAFKA_TLS=true"},
		{"encryption to a plain broker", map[string]string{"MEDDELA_KAFKA_BROKERS": open, "MEDDELA_KAFKA_TLS": "true"},
			command.ExitFailed, "MEDDELA_KAFKA_TLS if it wants no encryption"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := meddela(t, test.environment, "", "topics", "apply", "--dry-run", "-o", "json")
			got.Want(t, test.status)
			if !strings.Contains(got.Err, test.says) || (test.says == "" && got.Err != "") {
				t.Errorf("stderr %q\nwant   %q", got.Err, test.says)
			}
			if strings.Contains(got.Err, "hunter") {
				t.Errorf("the password shows: %s", got.Err)
			}
			if strings.Contains(got.Err, "deadline") && test.name != "encryption to a plain broker" { // which is silent
				t.Errorf("it waited instead of telling the cause: %s", got.Err)
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
	clitest.StartKafka(t, kfake.ListenFn(func(network, address string) (net.Listener, error) {
		listener, err := net.Listen(network, address)
		if err == nil {
			broker = listener.Addr().String()
		}
		return elsewhere{listener}, err
	}))
	got := meddela(t, map[string]string{"MEDDELA_KAFKA_BROKERS": broker}, "", "topics", "apply")
	got.Want(t, command.ExitFailed)
	want := "meddela: cannot use Kafka: it answers at " + broker + ", but says that its brokers are at " +
		clitest.Nowhere +
		": connect: connection refused: correct the brokers' advertised.listeners\n"
	if got.Err != want {
		t.Errorf("stderr %q\nwant   %q", got.Err, want)
	}
}

func TestRedisLoginAndEncryption(t *testing.T) {
	serverTLS, ca, _ := certificate(t)
	secured := clitest.StartRedis(t, serverTLS)
	secured.RequireUserAuth("kim", "hunter2")
	open := clitest.StartRedis(t, nil)
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
		{"cluster", map[string]string{"MEDDELA_REDIS_ADDRS": open.Addr(), "MEDDELA_REDIS_MODE": "cluster"},
			"nothing is known of x"},
		{"TLS and ACL user", login("kim", "hunter2"), "nothing is known of x"},
		{"wrong password", login("kim", "hunter3"), "correct MEDDELA_REDIS_USERNAME or MEDDELA_REDIS_PASSWORD"},
		{"no password", map[string]string{"MEDDELA_REDIS_ADDRS": secured.Addr(), "MEDDELA_REDIS_TLS": "true",
			"MEDDELA_REDIS_TLS_CA_FILE": ca}, "correct MEDDELA_REDIS_USERNAME or MEDDELA_REDIS_PASSWORD"},
		{"unknown authority", map[string]string{"MEDDELA_REDIS_ADDRS": secured.Addr(), "MEDDELA_REDIS_TLS": "true"},
			"correct MEDDELA_REDIS_TLS or the settings that start so"},
		{"plain text to an encrypted server", map[string]string{"MEDDELA_REDIS_ADDRS": secured.Addr()},
			"MEDDELA_REDIS_TLS=true"},
		{"sentinels away", map[string]string{"MEDDELA_REDIS_ADDRS": clitest.Nowhere, "MEDDELA_REDIS_MODE": "sentinel",
			"MEDDELA_REDIS_MASTER_NAME": "m"}, "start it, or correct MEDDELA_REDIS_ADDRS"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := meddela(t, test.environment, "", "status", "x")
			got.Want(t, command.ExitFailed)
			if !strings.Contains(got.Err, test.says) || strings.Count(got.Err, "\n") != 1 {
				t.Errorf("stderr %q, want one line with %q", got.Err, test.says)
			}
			if strings.Contains(got.Err, "deadline") {
				t.Errorf("it waited instead of telling the cause: %s", got.Err)
			}
		})
	}
}

// Certificates and passwords that are replaced hold for the next connection, without a restart; what is half
// replaced leaves things as they were.
func TestReplacedFiles(t *testing.T) {
	var serverTLS atomic.Pointer[tls.Config]
	current := func(*tls.ClientHelloInfo) (*tls.Config, error) { return serverTLS.Load(), nil }
	live := &tls.Config{GetConfigForClient: current}
	folder := t.TempDir()
	ca, key, password := filepath.Join(folder, "ca"), filepath.Join(folder, "key"), filepath.Join(folder, "password")
	put := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	replace := func(secret string) {
		server, newCA, newKey := certificate(t)
		server.ClientAuth, server.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
		text, _ := os.ReadFile(newCA)
		server.ClientCAs.AppendCertsFromPEM(text)
		serverTLS.Store(server)
		put(ca, string(text))
		text, _ = os.ReadFile(newKey)
		put(key, string(text))
		put(password, secret)
	}
	replace("hunter2")
	brokers := make(map[string][]string)
	for _, secret := range []string{"hunter2", "hunter3"} {
		brokers[secret] = clitest.StartKafka(t, kfake.TLS(live), kfake.EnableSASL(),
			kfake.Superuser("SCRAM-SHA-512", "kim", secret)).ListenAddrs()
	}
	store := clitest.StartRedis(t, live)
	store.RequireUserAuth("kim", "hunter2")
	var c config.Config
	testenv.OnlyThese(t, map[string]string{
		"MEDDELA_KAFKA_BROKERS": brokers["hunter2"][0], "MEDDELA_KAFKA_TLS": "true", "MEDDELA_KAFKA_TLS_CA_FILE": ca,
		"MEDDELA_KAFKA_TLS_CERT_FILE": ca, "MEDDELA_KAFKA_TLS_KEY_FILE": key,
		"MEDDELA_KAFKA_SASL_MECHANISM": "scram-sha-512", "MEDDELA_KAFKA_SASL_USERNAME": "kim",
		"MEDDELA_KAFKA_SASL_PASSWORD_FILE": password,
		"MEDDELA_REDIS_ADDRS":              store.Addr(), "MEDDELA_REDIS_TLS": "true", "MEDDELA_REDIS_TLS_CA_FILE": ca,
		"MEDDELA_REDIS_TLS_CERT_FILE": ca, "MEDDELA_REDIS_TLS_KEY_FILE": key,
		"MEDDELA_REDIS_USERNAME": "kim", "MEDDELA_REDIS_PASSWORD_FILE": password,
	})
	if _, faults := config.ReadSettings(&c, new(pflag.FlagSet)); len(faults) > 0 {
		t.Fatal(faults)
	}
	kafka, err := connect.Kafka(&c.Kafka, c.Names())
	if err != nil {
		t.Fatal(err)
	}
	client, err := connect.Redis(&c.Redis, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	check := func() error {
		store.Close() // and with it the connections
		if err := store.StartTLS(live); err != nil {
			t.Fatal(err)
		}
		ctx := fixtures.Soon(t)
		return errors.Join(connect.CheckKafka(ctx, kafka), connect.CheckRedis(ctx, &c.Redis, client))
	}
	if err := check(); err != nil {
		t.Fatal(err)
	}
	replace("hunter3")
	kafka.Brokers = brokers["hunter3"]
	store.RequireUserAuth("kim", "hunter3")
	fixtures.Await(t, "new files", check)
	put(key, "half a key")
	put(password, "")
	for begin := time.Now(); time.Since(begin) < 1500*time.Millisecond; {
		if err := check(); err != nil {
			t.Fatal("half replaced: ", err)
		}
	}
}

// doorman lets those in to a broker that show the token that it takes (SASL OAUTHBEARER).
type doorman struct {
	net.Listener
	takes   func(first string) bool
	refuses saslauthenticate.Response // and how
}

func (d doorman) Accept() (net.Conn, error) {
	conn, err := d.Listener.Accept()
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	for range 2 { // the mechanism, then the token
		version, id, _, request, err := protocol.ReadRequest(conn)
		if err != nil {
			break // as nobody is let in by kfake who says nothing
		}
		var answer protocol.Message = &saslhandshake.Response{Mechanisms: []string{"OAUTHBEARER"}}
		if login, ok := request.(*saslauthenticate.Request); ok {
			answer = &saslauthenticate.Response{SessionLifetimeMs: 60_000}
			if !d.takes(string(login.AuthBytes)) {
				answer = &d.refuses
			}
		}
		_ = protocol.WriteResponse(conn, version, id, answer)
	}
	return conn, conn.SetDeadline(time.Time{})
}

// TestKafkaTokens: who has the token is let in, and otherwise check says where it went wrong and what to correct.
func TestKafkaTokens(t *testing.T) {
	for _, e := range os.Environ() {
		if name, _, _ := strings.Cut(e, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "")
		}
	}
	for name, value := range map[string]string{"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
		"AWS_EC2_METADATA_DISABLED": "true"} {
		t.Setenv(name, value)
	}
	broker := func(refuses saslauthenticate.Response, takes string) string {
		listen := func(network, address string) (net.Listener, error) {
			listener, err := net.Listen(network, address)
			return doorman{listener, func(first string) bool { return strings.Contains(first, takes) }, refuses}, err
		}
		return clitest.StartKafka(t, kfake.ListenFn(listen)).ListenAddrs()[0]
	}
	code := saslauthenticate.Response{ErrorCode: int16(kafka.SASLAuthenticationFailed)}
	challenge := saslauthenticate.Response{AuthBytes: []byte(`{"status":"invalid_token"}`)}
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, secret, _ := r.BasicAuth(); secret != "hunter2" {
			http.Error(w, `{"error":"invalid_client"}`, http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"access_token":"a.b.c","expires_in":60}`)
	}))
	defer endpoint.Close()
	oauth := func(secret string) map[string]string {
		return map[string]string{"MEDDELA_KAFKA_SASL_MECHANISM": "oauthbearer", "MEDDELA_KAFKA_SASL_USERNAME": "shop",
			"MEDDELA_KAFKA_SASL_PASSWORD": secret, "MEDDELA_KAFKA_OAUTH_TOKEN_URL": endpoint.URL}
	}
	itself := map[string]string{"MEDDELA_KAFKA_SASL_MECHANISM": "oauthbearer", "MEDDELA_KAFKA_SASL_PASSWORD": "hunter2"}
	msk := map[string]string{"MEDDELA_KAFKA_SASL_MECHANISM": "aws-msk-iam", "MEDDELA_KAFKA_AWS_REGION": "eu-north-1"}
	keys := map[string]string{"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "hunter2"}
	for _, row := range []struct {
		name, broker string
		settings     map[string]string
		environment  map[string]string
		status       int
		says         string // part of stderr
	}{
		{"a token of client credentials", broker(code, "auth=Bearer a.b.c\x01"), oauth("hunter2"), nil, command.ExitOK, ""},
		{"a wrong secret", broker(code, "a.b.c"), oauth("hunter3"), nil, command.ExitFailed, "answered 401: correct " +
			"MEDDELA_KAFKA_SASL_USERNAME, MEDDELA_KAFKA_SASL_PASSWORD or the settings that start with MEDDELA_KAFKA_OAUTH"},
		{"a token that is refused", broker(challenge, "other"), oauth("hunter2"), nil, command.ExitFailed,
			"correct MEDDELA_KAFKA_OAUTH_SCOPES"},
		{"a token that is refused by a code", broker(code, "other"), oauth("hunter2"), nil, command.ExitFailed,
			"correct MEDDELA_KAFKA_OAUTH_SCOPES"},
		{"the token itself", broker(code, "hunter2"), itself, nil, command.ExitOK, ""},
		{"the token itself, refused", broker(challenge, "other"), itself, nil, command.ExitFailed,
			"correct MEDDELA_KAFKA_SASL_PASSWORD, which is the token"},
		{"MSK", broker(code, "auth=Bearer aHR0cHM6Ly9rYWZrYS5ldS1ub3J0aC0xLmFtYXpvbmF3cy5jb20"), msk, keys, command.ExitOK, ""},
		{"MSK that refuses", broker(code, "other"), msk, keys, command.ExitFailed,
			"allow its role kafka-cluster:Connect on the cluster, or correct MEDDELA_KAFKA_AWS_REGION, which is eu-north-1"},
		{"no credentials of AWS", broker(code, ""), msk, nil, command.ExitFailed,
			"give this process a role (IRSA, EKS Pod Identity"},
		{"no region", broker(code, ""), map[string]string{"MEDDELA_KAFKA_SASL_MECHANISM": "aws-msk-iam"}, keys,
			command.ExitMisused, "MEDDELA_KAFKA_AWS_REGION is not set, and the brokers' names have no region"},
		{"no such profile of AWS", broker(code, ""), msk, map[string]string{"AWS_PROFILE": "shop"}, command.ExitMisused,
			"AWS's own settings cannot be used: "},
	} {
		t.Run(row.name, func(t *testing.T) {
			for name, value := range row.environment {
				t.Setenv(name, value)
			}
			environment := map[string]string{"MEDDELA_KAFKA_BROKERS": row.broker, "MEDDELA_KAFKA_SASL_IN_CLEAR": "true"}
			for name, value := range row.settings {
				environment[name] = value
			}
			got := meddela(t, environment, "", "topics", "apply", "--dry-run", "-o", "json")
			got.Want(t, row.status)
			if !strings.Contains(got.Err, row.says) || row.says == "" && got.Err != "" {
				t.Errorf("stderr %q\nwant   %q", got.Err, row.says)
			}
			if strings.Contains(got.Err, "hunter") || strings.Contains(got.Err, "a.b.c") {
				t.Errorf("a secret shows: %s", got.Err)
			}
		})
	}
}
