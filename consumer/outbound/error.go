package outbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"syscall"
)

// Kind is how far a request came that has no answer, in words.
type Kind string

const (
	Blocked     Kind = "the target's address is not allowed"
	Unresolved  Kind = "the name was not resolved"
	Unreachable Kind = "no connection"
	Insecure    Kind = "no secure connection" // either side does not trust the other
	Expired     Kind = "the time to begin it was over"
	Broken      Kind = "the connection broke before the request was written"
	Unanswered  Kind = "the request was written, and not answered" // so it may have been handled
)

// Error is why there is no answer. Only with Unanswered can the target have had the request.
type Error struct {
	Kind Kind
	Host string
	Err  error
}

// Error names the host and what happened, and nothing else of the request.
func (f *Error) Error() string {
	text := f.Host + ": " + f.what()
	if f.Timeout() {
		text += " in time"
	}
	return text
}

// Unwrap returns the error of the network, whose text may have more of the request.
func (f *Error) Unwrap() error { return f.Err }

func (f *Error) what() string {
	address, _ := errors.AsType[blocked](f.Err)
	switch {
	case f.Kind == Blocked:
		return "the target's address is " + string(address) + ", which is not allowed"
	case f.Kind == Insecure:
		return string(f.Kind) + certificate(f.Err)
	case f.Kind != Unreachable:
	case errors.Is(f.Err, syscall.ECONNREFUSED):
		return "the connection was refused"
	case errors.Is(f.Err, syscall.EHOSTUNREACH), errors.Is(f.Err, syscall.ENETUNREACH):
		return "there is no way to the host"
	}
	return string(f.Kind)
}

// certificate says what is wrong with the target's certificate.
func certificate(err error) string {
	invalid, isInvalid := errors.AsType[x509.CertificateInvalidError](err)
	switch {
	case is[x509.UnknownAuthorityError](err):
		return ": the authority of its certificate is not known"
	case is[x509.HostnameError](err):
		return ": its certificate is for other names"
	case isInvalid && invalid.Reason == x509.Expired:
		return ": its certificate has expired, or is not valid yet"
	case isInvalid:
		return ": its certificate is not valid"
	case is[tls.RecordHeaderError](err):
		return ": it does not speak TLS"
	}
	return ""
}

// is reports whether an error is of a type, or wraps one.
func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// Timeout reports whether it is the time that was too short.
func (f *Error) Timeout() bool {
	if f.Kind == Blocked || f.Kind == Expired {
		return false
	}
	timeout, ok := errors.AsType[net.Error](f.Err)
	return errors.Is(f.Err, context.DeadlineExceeded) || ok && timeout.Timeout()
}
