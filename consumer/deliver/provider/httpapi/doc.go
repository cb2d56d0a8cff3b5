// Package httpapi is a deliver.Provider that hands messages over by an HTTP
// request each: text messages, push messages, webhooks, and e-mail where the
// provider has an API for it. Configuration says what the request is and what
// its answers mean, so that any provider fits.
//
// One Send is one request. Only if the provider honours the idempotency key, and
// the connection broke, is it made once more. As long as no answer tells, the
// verdict is Unknown: Failed would let another provider have the message, which
// does not know the key.
//
// What events hold cannot change where a request goes, nor its headers: values
// in URLs are escaped, and a value that would break a header or a JSON body is
// refused. A body that does not escape its values is refused when it is configured.
package httpapi
