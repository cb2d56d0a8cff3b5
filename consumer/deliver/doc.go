// Package deliver is the role that sends: of each job it makes one message at
// a provider, and one entry in the delivery log.
//
// Before a job is sent it is claimed in Redis, and afterwards its outcome is
// recorded there; a job that comes again finds its outcome, is not sent, and
// makes the same entry. Only where a deliverer dies between a provider's
// acceptance and the recording is it unknown whether a message was sent: then
// its template says whether to send it again or to leave it.
package deliver
