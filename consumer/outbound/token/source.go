// Package token gets bearer tokens that end, and the next before they do: one for all who ask, by requests of their own
// that no message waits for unless there is no token yet.
package token

import (
	"context"
	"errors"
	"regexp"
	"strconv"
	"sync"
	"time"

	"golang.org/x/net/http/httpguts"
	"golang.org/x/oauth2"
	"golang.org/x/sync/singleflight"

	"github.com/meddela/meddela/consumer/outbound"
)

const (
	patience = 10 * time.Second // of one request for a token
	pause    = 5 * time.Second  // after one that failed
	longest  = 24 * time.Hour   // that a token without an end is kept
	shortest = time.Second      // that one is kept which ends at once
	maxBytes = 32 << 10         // of a token
)

// Kind is a way to get tokens.
type Kind interface {
	// Source makes what gets them, by a client, or says what is wrong. It does not connect.
	Source(*outbound.Client) (*Source, error)
	String() string // its name
}

// Source has a token.
type Source struct {
	fetch func(context.Context) (*oauth2.Token, error)
	least time.Duration // from one token to the next
	group singleflight.Group

	mu    sync.Mutex
	value string
	err   error     // of the last request
	again time.Time // when another may be asked for
	renew time.Time // when another is to be asked for, if value is to be followed in time
	ends  time.Time
}

// Get is the token of the moment, other than one that was refused if there may be another. Its error says what to
// mend, without any secret.
func (s *Source) Get(ctx context.Context, refused string) (string, error) {
	s.mu.Lock()
	value, err, now := s.value, s.err, time.Now()
	valid := value != "" && value != refused && now.Before(s.ends)
	wait := now.Before(s.again) || valid && now.Before(s.renew)
	s.mu.Unlock()
	if !wait {
		next := s.group.DoChan("", func() (any, error) { return s.next(refused != "") })
		if valid {
			return value, nil
		}
		select {
		case got := <-next:
			value, err = got.Val.(string), got.Err
		case <-ctx.Done():
			err = errors.New("no token: the token endpoint has not answered yet")
		}
	} else if valid {
		err = nil // which was about the one after it
	}
	return value, err
}

func (s *Source) next(refused bool) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Now().Before(s.again) {
		return s.value, s.err // another flight has just ended
	}
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	token, err := s.fetch(ctx)
	cancel()
	s.mu.Lock()
	now := time.Now()
	if err == nil && (token.AccessToken == "" || len(token.AccessToken) > maxBytes ||
		!httpguts.ValidHeaderFieldValue(token.AccessToken)) {
		err = errors.New("an answer without a token that can stand in a header")
	}
	if s.err, s.again = told(err), now.Add(pause); err != nil {
		return s.value, s.err
	}
	life := longest
	if !token.Expiry.IsZero() {
		life = min(longest, max(shortest, token.Expiry.Sub(now)))
	}
	s.value, s.ends = token.AccessToken, now.Add(life-min(life/10, 10*time.Second))
	s.renew = now.Add(life - min(life/4, 5*time.Minute))
	least := s.least
	if refused { // the next may be, too
		least = max(least, pause)
	}
	s.again = now.Add(min(least, s.renew.Sub(now)))
	return s.value, nil
}

// errorCode is what an endpoint may say of its refusal (RFC 6749 5.2).
var errorCode = regexp.MustCompile(`^[a-z_]{1,40}$`)

// told is an error in words that have nothing of the request, nor of the answer's text.
func told(err error) error {
	if err == nil {
		return nil
	}
	what := "it cannot be asked, or does not answer as it should"
	if failed, ok := errors.AsType[*outbound.Error](err); ok {
		what = failed.Error()
	}
	if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		what = refused.Response.Request.URL.Host + " answered " + strconv.Itoa(refused.Response.StatusCode)
		if errorCode.MatchString(refused.ErrorCode) {
			what += " (" + refused.ErrorCode + ")"
		}
	}
	return errors.New("no token from the token endpoint: " + what)
}
