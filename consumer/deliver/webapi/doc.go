// Package webapi is a deliver.Provider that hands messages over by one HTTP
// request each: text messages, push messages, webhooks, and e-mail by providers
// that have an API for it. What the request is, and what an answer means, is
// configuration, so that any provider fits.
package webapi
