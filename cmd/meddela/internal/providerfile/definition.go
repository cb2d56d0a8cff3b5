package providerfile

import (
	"time"

	"github.com/meddela/meddela/consumer/deliver/provider/failover"
	"github.com/meddela/meddela/consumer/deliver/provider/httpapi"
	"github.com/meddela/meddela/consumer/outbound"
	"github.com/meddela/meddela/topology"
)

// File is what a file says.
type File struct {
	Providers []Definition
	Routes    map[topology.Channel]Route
}

// Kind is a kind of provider.
type Kind string

const (
	SMTP    Kind = "smtp"
	HTTP    Kind = "http"
	Sandbox Kind = "sandbox"
)

// Definition is one provider.
type Definition struct {
	Name        string
	Channels    []topology.Channel
	Kind        Kind
	Timeout     time.Duration // 0 for the kind's own
	Concurrency int           // of one process; 0 for the kind's own
	Limit       Limit
	Breaker     failover.Breaker

	SMTP SMTPDefinition
	HTTP httpapi.Config
}

// Limit is what all processes together keep to.
type Limit struct {
	Rate    float64 // messages a second; 0 for any number
	AtOnce  int     // 0 for any number
	Reserve float64 // the share that the batch lane leaves free
}

// SMTPDefinition is a mail server.
type SMTPDefinition struct {
	Addr, From, FromName, ReplyTo, Hello string
	TLS                                  string // none, starttls, starttls-if-offered or tls
	CAFile                               string
	Username, Mechanism                  string
	Password                             outbound.Secret
	MaxMessages                          int
	DKIM                                 DKIM
	AttachmentHosts                      []string
	AttachmentBytes                      int
}

// DKIM is how mail is signed; not at all without a domain.
type DKIM struct {
	Domain, Selector string
	Key              outbound.Secret // PEM
}

// Route is how a channel's providers are chosen among.
type Route struct {
	Order   failover.Order
	Members []RouteMember
}

// RouteMember is a provider of a route.
type RouteMember struct {
	Provider string
	Weight   int
}
