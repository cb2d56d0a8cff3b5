// Package deliver is the role that sends: of each job it makes one message at
// a provider, and one entry in the delivery log.
//
// A job goes through seven stages. Hold puts off what an operator has paused
// and what would wake its recipient. Claim takes the job in Redis, from all
// other deliverers. Gate asks who must not be written to. Render makes the
// message, and send hands it to the provider. Settle records the outcome in
// Redis, and emit turns it into records. The pipeline puts the first six
// together, and their order is the guarantee: nothing is sent that is not
// claimed, and nothing is emitted that is not settled. A job that comes again
// finds its outcome, is not sent, and makes the same entry. Only where a
// deliverer dies between a provider's acceptance and the recording is it unknown
// whether a message was sent: then its template says whether to send it again.
package deliver
