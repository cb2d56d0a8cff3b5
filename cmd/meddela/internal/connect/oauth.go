package connect

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/segmentio/kafka-go/sasl"

	"github.com/meddela/meddela/cmd/meddela/internal/config"
	"github.com/meddela/meddela/consumer/outbound"
	"github.com/meddela/meddela/consumer/outbound/token"
)

// bearer is SASL's OAUTHBEARER (RFC 7628), with the token of the moment. Brokers end the session with the token, and
// before that a new connection logs in with the next.
type bearer struct {
	token      func(context.Context) (string, error)
	extensions []string // name=value
}

// bearerOf gets tokens by client credentials; without a token endpoint the password is the token.
func bearerOf(k *config.KafkaSettings, password func() string) (sasl.Mechanism, error) {
	if k.OAuthTokenURL == "" {
		return bearer{func(context.Context) (string, error) { return password(), nil }, k.OAuthExtensions}, nil
	}
	kind := token.OAuth2{TokenURL: k.OAuthTokenURL, ClientID: k.SASLUsername, ClientSecret: password,
		Scopes: k.OAuthScopes, Audience: k.OAuthAudience}
	source, err := kind.Source(outbound.New(outbound.Config{AllowPrivate: true, ClearInside: true}))
	if err != nil {
		return nil, config.Faults{"MEDDELA_KAFKA_OAUTH_TOKEN_URL cannot be used: " + err.Error()}
	}
	return bearer{func(ctx context.Context) (string, error) { return source.Get(ctx, "") }, k.OAuthExtensions}, nil
}

func (b bearer) Name() string { return "OAUTHBEARER" }

// Start is the client's first message, and mostly its last.
func (b bearer) Start(ctx context.Context) (sasl.StateMachine, []byte, error) {
	text, err := b.token(ctx)
	if err != nil {
		return nil, nil, err
	}
	parts := slices.Concat([]string{"n,,", "auth=Bearer " + text}, b.extensions, []string{"", ""})
	return b, []byte(strings.Join(parts, "\x01")), nil
}

// Next takes the server's answer. One that says something refuses.
func (b bearer) Next(_ context.Context, challenge []byte) (bool, []byte, error) {
	if len(challenge) > 0 {
		return false, nil, errors.New("the broker refuses the token: look at its scopes, audience and extensions")
	}
	return true, nil, nil
}
