package token

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/url"
	"time"

	signed "github.com/golang-jwt/jwt/v5"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	"golang.org/x/oauth2/jwt"

	"github.com/meddela/meddela/consumer/outbound"
)

// OAuth2 is the grant of client credentials (RFC 6749 4.4).
type OAuth2 struct {
	TokenURL, ClientID string
	ClientSecret       outbound.Secret
	Scopes             []string
	Audience           string
}

// Google is a service account of Google Cloud, such as FCM has.
type Google struct {
	Credentials outbound.Secret // the account's JSON, as Google gives it out
	Scopes      []string
}

// APNs is a key for Apple's push notifications, which makes tokens without asking anybody.
type APNs struct {
	Key           outbound.Secret // .p8, PEM
	KeyID, TeamID string
}

func (OAuth2) String() string { return "oauth2" }
func (Google) String() string { return "google" }
func (APNs) String() string   { return "apns" }

// Apple refuses tokens that are older than an hour, and those who come with new ones more often than every 20 minutes.
const appleEnd, appleLeast = 55 * time.Minute, 20 * time.Minute

// by is the context of requests that a client makes, none of which follows a redirect with credentials.
func by(ctx context.Context, client *outbound.Client) context.Context {
	return context.WithValue(ctx, oauth2.HTTPClient, &http.Client{
		Transport: client, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	})
}

// checkURL says what is wrong with an endpoint's address. The client keeps clear text within private networks.
func checkURL(text string) error {
	if _, err := outbound.ParseURL(text); err != nil {
		return errors.New("the token endpoint's address " + err.Error())
	}
	return nil
}

// Source implements Kind.
func (o OAuth2) Source(client *outbound.Client) (*Source, error) {
	if o.ClientID == "" || o.ClientSecret == nil {
		return nil, errors.New("oauth2 needs a client_id and a client_secret")
	}
	return &Source{fetch: func(ctx context.Context) (*oauth2.Token, error) {
		c := clientcredentials.Config{
			ClientID: o.ClientID, ClientSecret: o.ClientSecret(), TokenURL: o.TokenURL, Scopes: o.Scopes,
		}
		if o.Audience != "" {
			c.EndpointParams = url.Values{"audience": {o.Audience}}
		}
		return c.Token(by(ctx, client))
	}}, checkURL(o.TokenURL)
}

// Source implements Kind.
func (g Google) Source(client *outbound.Client) (*Source, error) {
	account, err := parsed(g.Credentials, func(text string) (*jwt.Config, error) {
		var a struct {
			Email string `json:"client_email"`
			Key   string `json:"private_key"`
			KeyID string `json:"private_key_id"`
			URL   string `json:"token_uri"`
		}
		wrong := json.Unmarshal([]byte(text), &a)
		_, isRSA := keyOf(a.Key).(*rsa.PrivateKey)
		if wrong != nil || a.Email == "" || checkURL(a.URL) != nil || !isRSA {
			return nil, errors.New("the credentials are not the JSON of a service account's key")
		}
		return &jwt.Config{
			Email: a.Email, PrivateKey: []byte(a.Key), PrivateKeyID: a.KeyID, TokenURL: a.URL, Scopes: g.Scopes,
		}, nil
	})
	return &Source{fetch: func(ctx context.Context) (*oauth2.Token, error) {
		return account.Now().TokenSource(by(ctx, client)).Token()
	}}, err
}

// Source implements Kind.
func (a APNs) Source(*outbound.Client) (*Source, error) {
	key, err := parsed(a.Key, func(text string) (*ecdsa.PrivateKey, error) {
		key, _ := keyOf(text).(*ecdsa.PrivateKey)
		if key == nil || key.Curve != elliptic.P256() {
			return nil, errors.New("the key is not Apple's .p8 file: a P-256 key in PEM form")
		}
		return key, nil
	})
	if err == nil && (a.KeyID == "" || a.TeamID == "") {
		err = errors.New("apns needs a key_id and a team_id")
	}
	return &Source{least: appleLeast, fetch: func(context.Context) (*oauth2.Token, error) {
		now := time.Now()
		token := signed.NewWithClaims(signed.SigningMethodES256, signed.MapClaims{"iss": a.TeamID, "iat": now.Unix()})
		token.Header["kid"] = a.KeyID
		text, err := token.SignedString(key.Now())
		return &oauth2.Token{AccessToken: text, Expiry: now.Add(appleEnd)}, err
	}}, err
}

// parsed reads a secret, of which there may be none.
func parsed[T any](secret outbound.Secret, read func(string) (T, error)) (*outbound.Parsed[T], error) {
	if secret == nil {
		secret = outbound.Fixed("")
	}
	return outbound.NewParsed(secret, read)
}

// keyOf is a private key in PEM form; nil if it is none.
func keyOf(text string) any {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil
	}
	key, _ := x509.ParsePKCS8PrivateKey(block.Bytes)
	return key
}
