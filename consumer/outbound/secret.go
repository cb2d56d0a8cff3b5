package outbound

import "fmt"

// Secret returns a secret, which may be another one each time. It never
// prints itself.
type Secret func() string

// Fixed is a Secret that stays as it is.
func Fixed(secret string) Secret { return func() string { return secret } }

const masked = "****"

// Format implements fmt.Formatter, for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(masked)) }

// MarshalText implements encoding.TextMarshaler.
func (s Secret) MarshalText() ([]byte, error) { return []byte(masked), nil }
