package connect

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/meddela/meddela/cmd/meddela/internal/config"
	"github.com/meddela/meddela/test/fixtures"
)

// awsSecret is the secret of AWS's own examples.
const awsSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"

// onlyAWS sets the variables of AWS's SDK, and unsets all others; no file of this machine is read.
func onlyAWS(t *testing.T, environment map[string]string) {
	t.Helper()
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "")
		}
	}
	t.Setenv("AWS_CONFIG_FILE", os.DevNull)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
	for name, value := range environment {
		t.Setenv(name, value)
	}
}

// mskToken is the URL that a login at a broker shows.
func mskToken(t *testing.T, start func(context.Context) ([]byte, error)) (*url.URL, error) {
	t.Helper()
	first, err := start(t.Context())
	if err != nil {
		return nil, err
	}
	text, found := strings.CutPrefix(string(first), "n,,\x01auth=Bearer ")
	decoded, err := base64.RawURLEncoding.DecodeString(strings.TrimSuffix(text, "\x01\x01"))
	if !found || err != nil {
		t.Fatalf("%q: %v", first, err)
	}
	shown, err := url.Parse(string(decoded))
	if err != nil {
		t.Fatal(err)
	}
	return shown, nil
}

// login makes a login by settings.
func mskLogin(t *testing.T, k config.KafkaSettings) func(context.Context) ([]byte, error) {
	t.Helper()
	k.SASLMechanism = "aws-msk-iam"
	mechanism, err := loginOf(&k)
	if err != nil || mechanism.Name() != "OAUTHBEARER" {
		t.Fatal(err)
	}
	return func(ctx context.Context) ([]byte, error) {
		_, first, err := mechanism.Start(ctx)
		return first, err
	}
}

// TestMSKSignature: at a fixed time the URL is what another implementation makes of the same keys: botocore 1.43,
// SigV4QueryAuth(credentials, "kafka-cluster", "eu-north-1", expires=900) of a GET of its part before X-Amz-Algorithm.
func TestMSKSignature(t *testing.T) {
	const before = "https://kafka.eu-north-1.amazonaws.com/?Action=kafka-cluster%3AConnect&X-Amz-Algorithm=AWS4-HMAC-SHA256" +
		"&X-Amz-Credential=AKIDEXAMPLE%2F20000101%2Feu-north-1%2Fkafka-cluster%2Faws4_request&X-Amz-Date=20000101T000000Z" +
		"&X-Amz-Expires=900&X-Amz-SignedHeaders=host"
	for session, want := range map[string]string{
		"": before + "&X-Amz-Signature=0eade33e07c694ac921d95bb2bdac4ccdd8c3d237d330ffad95f8bd2a973b7fb",
		"session/+=token": before + "&X-Amz-Security-Token=session%2F%2B%3Dtoken" +
			"&X-Amz-Signature=d2022fb64ceeda99184dd3524b07745da321bf6a5587ee2ef85d695bb043f046",
	} {
		onlyAWS(t, map[string]string{"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": awsSecret,
			"AWS_SESSION_TOKEN": session, "AWS_REGION": "us-east-1"})
		synctest.Test(t, func(t *testing.T) { // whose clock begins at 2000-01-01T00:00:00Z
			shown, err := mskToken(t, mskLogin(t, config.KafkaSettings{AWSRegion: "eu-north-1"}))
			if err != nil {
				t.Fatal(err)
			}
			wanted, _ := url.Parse(want)
			got := shown.Query()
			if !strings.HasPrefix(got.Get("User-Agent"), "aws-msk-iam-sasl-signer-go/") {
				t.Errorf("from %q", got.Get("User-Agent"))
			}
			got.Del("User-Agent") // which nobody signs
			if got.Encode() != wanted.Query().Encode() || shown.Host != wanted.Host || shown.Scheme != "https" {
				t.Errorf("session %q:\n%s\nwant\n%s", session, shown, want)
			}
		})
	}
}

// TestMSKRegion: the setting, the brokers' names, then AWS's own variable; without any it is said what to set.
func TestMSKRegion(t *testing.T) {
	for _, row := range []struct{ setting, broker, environment, want string }{
		{"eu-west-1", "b-1.shop.abc.c2.kafka.eu-north-1.amazonaws.com:9098", "us-east-1", "eu-west-1"},
		{"", "b-1.shop.abc.c2.kafka.eu-north-1.amazonaws.com:9098", "us-east-1", "eu-north-1"},
		{"", "boot-abc.c1.kafka-serverless.ap-southeast-2.amazonaws.com:9098", "", "ap-southeast-2"},
		{"", "b-1.shop.abc.c2.kafka.cn-north-1.amazonaws.com.cn:9098", "us-east-1", "cn-north-1"},
		{"", "b-1.shop.abc.c2.kafka.us-gov-west-1.amazonaws.com:9098", "", "us-gov-west-1"},
		{"", "kafka.shop.example:9098", "us-east-1", "us-east-1"},
		{"", "kafka.shop.example:9098", "", ""},
	} {
		onlyAWS(t, map[string]string{"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": awsSecret,
			"AWS_REGION": row.environment})
		k := config.KafkaSettings{AWSRegion: row.setting, Brokers: config.List{"10.0.0.1:9098", row.broker}}
		if row.want == "" {
			k.SASLMechanism = "aws-msk-iam"
			if _, err := loginOf(&k); err == nil || !strings.Contains(err.Error(), "MEDDELA_KAFKA_AWS_REGION is not set") {
				t.Errorf("%+v: %v", row, err)
			}
			continue
		}
		shown, err := mskToken(t, mskLogin(t, k))
		if err != nil || shown.Host != "kafka."+row.want+".amazonaws.com" {
			t.Errorf("%+v: %v, %v", row, shown, err)
		}
	}
}

// TestMSKCredentials: each login has the credentials of the moment, wherever they are.
func TestMSKCredentials(t *testing.T) {
	var given atomic.Int64 // keys that ended, and so are others each time
	folder := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	profile := func(key string) string {
		return fmt.Sprintf("[default]\naws_access_key_id=%s\naws_secret_access_key=%s\n", key, awsSecret)
	}
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		end := time.Now().Add(time.Minute).UTC().Format(time.RFC3339)
		key := func() string { return fmt.Sprint("KEY-", given.Add(1)) }
		document := func() {
			w.Header().Set("Content-Type", "application/json")
			json.NewEncoder(w).Encode(map[string]string{"Code": "Success", "AccessKeyId": key(),
				"SecretAccessKey": awsSecret, "Token": "session", "Expiration": end})
		}
		switch {
		case r.URL.Path == "/sts/" && r.FormValue("WebIdentityToken") == "of the pod" && r.FormValue("RoleArn") != "":
			fmt.Fprintf(w, `<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>`+
				`<AccessKeyId>%s</AccessKeyId><SecretAccessKey>%s</SecretAccessKey><SessionToken>session</SessionToken>`+
				`<Expiration>%s</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`,
				key(), awsSecret, end)
		case r.URL.Path == "/pod" && r.Header.Get("Authorization") == "of the pod":
			document()
		case r.URL.Path == "/latest/api/token":
			w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "60")
			fmt.Fprint(w, "metadata")
		case r.URL.Path == "/latest/meta-data/iam/security-credentials/":
			fmt.Fprint(w, "role")
		case r.URL.Path == "/latest/meta-data/iam/security-credentials/role":
			document()
		default:
			http.Error(w, "no", http.StatusForbidden)
		}
	}))
	defer endpoint.Close()
	identity, file := write("token", "of the pod"), filepath.Join(folder, "credentials")
	for name, row := range map[string]struct {
		environment   map[string]string
		session, next string
	}{
		"a file": {map[string]string{"AWS_SHARED_CREDENTIALS_FILE": file}, "", "KEY-2"},
		"a web identity (IRSA)": {map[string]string{"AWS_WEB_IDENTITY_TOKEN_FILE": identity,
			"AWS_ROLE_ARN": "arn:aws:iam::1:role/shop", "AWS_ENDPOINT_URL_STS": endpoint.URL + "/sts/"}, "session", "KEY-2"},
		"EKS Pod Identity": {map[string]string{"AWS_CONTAINER_CREDENTIALS_FULL_URI": endpoint.URL + "/pod",
			"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": identity}, "session", "KEY-2"},
		// Those of an instance the SDK holds good for longer than it is told.
		"an instance": {map[string]string{"AWS_EC2_METADATA_SERVICE_ENDPOINT": endpoint.URL}, "session", "KEY-1"},
	} {
		t.Run(name, func(t *testing.T) {
			given.Store(0)
			write("credentials", profile("KEY-1"))
			onlyAWS(t, row.environment)
			login := mskLogin(t, config.KafkaSettings{AWSRegion: "eu-north-1"})
			key := func() string {
				shown, err := mskToken(t, login)
				if err != nil {
					t.Fatal(err)
				}
				if got := shown.Query().Get("X-Amz-Security-Token"); got != row.session {
					t.Errorf("of session %q", got)
				}
				key, _, _ := strings.Cut(shown.Query().Get("X-Amz-Credential"), "/")
				return key
			}
			if got := key(); got != "KEY-1" {
				t.Errorf("the first is %q", got)
			}
			write("credentials", profile("KEY-2"))
			fixtures.Eventually(t, "the next is used", func() bool { return key() == row.next })
		})
	}
}

// TestMSKCredentialsThatComeLate are found: after a login without any, nothing is kept of where they were looked for.
func TestMSKCredentialsThatComeLate(t *testing.T) {
	file := filepath.Join(t.TempDir(), "credentials")
	onlyAWS(t, map[string]string{"AWS_SHARED_CREDENTIALS_FILE": file, "AWS_EC2_METADATA_DISABLED": "true"})
	login := mskLogin(t, config.KafkaSettings{AWSRegion: "eu-north-1"})
	if _, err := mskToken(t, login); err == nil {
		t.Fatal("there is a token without credentials")
	}
	text := "[default]\naws_access_key_id=KEY\naws_secret_access_key=" + awsSecret + "\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	fixtures.Await(t, "they are found", func() error { _, err := mskToken(t, login); return err })
}
