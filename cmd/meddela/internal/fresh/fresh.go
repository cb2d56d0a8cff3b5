// Package fresh keeps what was read of files as new as the files are: certificates,
// passwords and tokens are replaced while processes run.
package fresh

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// every is how long the files are believed not to have changed.
const every = time.Second

// Value reads once, and returns what reads again when it is asked a while later. What
// cannot be read, such as a file that is just being replaced, leaves the value as it was.
func Value[T any](read func() (T, error)) (get func() T, err error) { return Within(every, read) }

// Within is Value that believes files not to have changed for so long.
func Within[T any](every time.Duration, read func() (T, error)) (get func() T, err error) {
	value, err := read()
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	seen := time.Now()
	return func() T {
		mu.Lock()
		defer mu.Unlock()
		if time.Since(seen) >= every {
			seen = time.Now()
			if now, err := read(); err == nil {
				value = now
			}
		}
		return value
	}, nil
}

// Authorities reads the certificates of a file in PEM form.
func Authorities(file string) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	switch pem, err := os.ReadFile(file); {
	case err != nil:
		return nil, fmt.Errorf("cannot be read: %w", err)
	case !pool.AppendCertsFromPEM(pem):
		return nil, errors.New("has no certificate in PEM form: " + file)
	}
	return pool, nil
}
