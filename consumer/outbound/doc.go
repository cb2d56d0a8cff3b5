// Package outbound makes HTTP requests to targets outside: each once, to
// addresses that may be dialled, and with an error that says whether the target
// can have had the request.
//
// Who may be dialled is decided by the address that is about to be connected
// to, after its name was resolved, so that no name service can lead a request
// inside. Redirects are not followed.
//
// net/http repeats requests by itself when a connection breaks: those with the
// methods GET and HEAD, and those with a header Idempotency-Key. Here it repeats
// a request only if nothing of it has been written or, over HTTP/2, if the target
// said that it has not handled it. Whoever may repeat more does so, and knows it.
package outbound
