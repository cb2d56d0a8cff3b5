package httpapi

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/textproto"

	"golang.org/x/net/http/httpguts"

	"github.com/meddela/meddela/consumer/outbound"
)

// Auth is how the provider knows who asks: by one of three ways, or by none.
type Auth struct {
	// Bearer is a token for the header Authorization.
	Bearer outbound.Secret
	// Username and Password are for basic authentication.
	Username string
	Password outbound.Secret
	// Header is the name of a header that has Key.
	Header string
	Key    outbound.Secret
}

// errCredentials has nothing of them.
var errCredentials = errors.New("the provider's credentials are empty, or cannot stand in a header")

func (a *Auth) set() bool { return a.Bearer != nil || a.basic() || a.key() }

func (a *Auth) basic() bool { return a.Username != "" || a.Password != nil }

func (a *Auth) key() bool { return a.Header != "" || a.Key != nil }

func (a *Auth) check() error {
	ways := 0
	for _, is := range []bool{a.Bearer != nil, a.basic(), a.key()} {
		if is {
			ways++
		}
	}
	switch {
	case ways > 1:
		return errors.New("use one of bearer, basic and header")
	case a.basic() && (a.Username == "" || a.Password == nil):
		return errors.New("basic needs a username and a password")
	case a.key() && (a.Header == "" || a.Key == nil):
		return errors.New("a header needs a name and a key")
	case a.key() && (!httpguts.ValidHeaderFieldName(a.Header) || isOwn(a.Header)):
		return errors.New("that header cannot have the key")
	}
	return nil
}

func isOwn(name string) bool {
	canonical := textproto.CanonicalMIMEHeaderKey(name)
	for _, own := range ownHeaders {
		if own == canonical && own != "Authorization" {
			return true
		}
	}
	return false
}

// header is the name of the one that is set; empty if none is.
func (a *Auth) header() string {
	switch {
	case a.key():
		return textproto.CanonicalMIMEHeaderKey(a.Header)
	case a.set():
		return "Authorization"
	}
	return ""
}

// apply sets the header, with the secret as it is at this moment.
func (a *Auth) apply(h http.Header) error {
	var secret, value string
	switch {
	case a.Bearer != nil:
		secret = a.Bearer()
		value = "Bearer " + secret
	case a.basic():
		secret = a.Password()
		value = "Basic " + base64.StdEncoding.EncodeToString([]byte(a.Username+":"+secret))
	case a.key():
		secret = a.Key()
		value = secret
	default:
		return nil
	}
	if secret == "" || !httpguts.ValidHeaderFieldValue(value) {
		return errCredentials
	}
	h[a.header()] = []string{value}
	return nil
}
