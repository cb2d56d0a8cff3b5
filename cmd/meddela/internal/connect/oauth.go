package connect

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-msk-iam-sasl-signer-go/signer"
	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go/logging"
	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"

	"github.com/meddela/meddela/cmd/meddela/internal/config"
	"github.com/meddela/meddela/cmd/meddela/internal/fresh"
	"github.com/meddela/meddela/cmd/meddela/internal/wording"
	"github.com/meddela/meddela/consumer/outbound"
	"github.com/meddela/meddela/consumer/outbound/token"
)

// bearer is SASL's OAUTHBEARER (RFC 7628), with the token of the moment. Brokers end the session with the token, and
// before that a new connection logs in with the next.
type bearer struct {
	token            func(ctx context.Context, refused string) (string, error)
	extensions       []string     // name=value
	lacking, refusal string       // what to correct where there is no token, and where a broker refuses it
	refused          atomic.Value // the last token that was
}

// noToken is why there is none.
type noToken struct{ error }

// bearerOf gets tokens by client credentials; without a token endpoint the password is the token.
func bearerOf(k *config.KafkaSettings, password func() string) (sasl.Mechanism, error) {
	b := &bearer{extensions: k.OAuthExtensions}
	if k.OAuthTokenURL == "" {
		b.token = func(context.Context, string) (string, error) { return password(), nil }
		b.refusal = ": correct MEDDELA_KAFKA_SASL_PASSWORD, which is the token, or MEDDELA_KAFKA_OAUTH_EXTENSIONS"
		return b, nil
	}
	b.lacking = ": correct MEDDELA_KAFKA_SASL_USERNAME, MEDDELA_KAFKA_SASL_PASSWORD or the settings that start with MEDDELA_KAFKA_OAUTH"
	b.refusal = ": correct MEDDELA_KAFKA_OAUTH_SCOPES, MEDDELA_KAFKA_OAUTH_AUDIENCE or MEDDELA_KAFKA_OAUTH_EXTENSIONS, or what brokers take"
	trusted, err := tlsConfig("MEDDELA_KAFKA_OAUTH", k.OAuthCAFile, "", "", "")
	if err != nil {
		return nil, err
	}
	kind := token.OAuth2{TokenURL: k.OAuthTokenURL, ClientID: k.SASLUsername, ClientSecret: password,
		Scopes: k.OAuthScopes, Audience: k.OAuthAudience}
	source, err := kind.Source(outbound.New(outbound.Config{AllowPrivate: true, ClearInside: true, TLS: trusted}))
	if err != nil {
		return nil, config.Faults{"MEDDELA_KAFKA_OAUTH_TOKEN_URL cannot be used: " + err.Error()}
	}
	b.token = source.Get
	return b, nil
}

// mskRegion is where a broker of Amazon MSK is, by its name.
var mskRegion = regexp.MustCompile(`\.kafka(?:-serverless)?\.([a-z]+(?:-[a-z]+)+-\d+)\.(?:amazonaws\.com|api\.aws)`)

const (
	awsPatience = 10 * time.Second // of a request for credentials
	awsLeast    = 5 * time.Minute  // that credentials are still good for
	awsShown    = 400              // characters of an error
)

// mskOf signs tokens for Amazon MSK by credentials that AWS's SDK finds: of the environment, a file, a web identity
// (IRSA), EKS Pod Identity or an instance. The SDK renews those that end; others are looked for at each login.
func mskOf(k *config.KafkaSettings) (sasl.Mechanism, error) {
	var found aws.Config
	var kept atomic.Bool
	credentials, err := fresh.Value(func() (aws.CredentialsProvider, error) {
		if kept.Load() {
			return found.Credentials, nil
		}
		now, err := awsconfig.LoadDefaultConfig(context.Background(), awsconfig.WithLogger(logging.Nop{}),
			awsconfig.WithHTTPClient(awshttp.NewBuildableClient().WithTimeout(awsPatience)),
			awsconfig.WithCredentialsCacheOptions(func(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = awsLeast }))
		if err == nil {
			found = now
		}
		return found.Credentials, err
	})
	if err != nil {
		return nil, config.Faults{"AWS's own settings cannot be used: " + oneLine(err)}
	}
	inName := slices.Concat(mskRegion.FindStringSubmatch(k.Brokers.String()), []string{"", ""})[1]
	region := cmp.Or(k.AWSRegion, inName, found.Region)
	if region == "" {
		return nil, config.Faults{"MEDDELA_KAFKA_AWS_REGION is not set, and the brokers' names have no region: set it to the cluster's, such as eu-north-1"}
	}
	return &bearer{
		lacking: ": give this process a role (IRSA, EKS Pod Identity, an instance's) or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
		refusal: ": allow its role kafka-cluster:Connect on the cluster, or correct MEDDELA_KAFKA_AWS_REGION, which is " + region,
		token: func(ctx context.Context, _ string) (string, error) {
			keys, err := credentials().Retrieve(ctx)
			if kept.Store(err == nil && keys.CanExpire); err != nil { // after an error all is looked for anew
				return "", fmt.Errorf("no credentials of AWS: %s", oneLine(err))
			}
			fixed := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return keys, nil })
			text, _, err := signer.GenerateAuthTokenFromCredentialsProvider(ctx, region, fixed)
			return text, err
		},
	}, nil
}

// oneLine is as much of an error of AWS as may be shown.
func oneLine(err error) string {
	return wording.Shortened(strings.Join(strings.Fields(err.Error()), " "), awsShown)
}

func (b *bearer) Name() string { return "OAUTHBEARER" }

// Start is the client's first message, and mostly its last.
func (b *bearer) Start(ctx context.Context) (sasl.StateMachine, []byte, error) {
	refused, _ := b.refused.Load().(string)
	text, err := b.token(ctx, refused)
	if err != nil {
		return nil, nil, noToken{err}
	}
	parts := slices.Concat([]string{"n,,", "auth=Bearer " + text}, b.extensions, []string{"", ""})
	return shown{b, text}, []byte(strings.Join(parts, "\x01")), nil
}

// shown is a token that a broker is shown.
type shown struct {
	*bearer
	text string
}

// Next takes the server's answer. One that says something refuses.
func (s shown) Next(_ context.Context, challenge []byte) (bool, []byte, error) {
	if len(challenge) > 0 {
		s.refused.Store(s.text)
		return false, nil, fmt.Errorf("the broker refuses the token: %w", kafka.SASLAuthenticationFailed)
	}
	return true, nil, nil
}
