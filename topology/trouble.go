package topology

import "time"

// Trouble is what a deliverer finds wrong with a provider: that it failed the last time it was asked.
type Trouble struct {
	Lane     Lane      `json:"lane"`
	Channel  Channel   `json:"channel"`
	Provider string    `json:"provider"`
	Open     bool      `json:"circuit_open"` // until it has accepted a message
	Since    time.Time `json:"since"`
	At       time.Time `json:"at"`             // of the last failure
	Until    time.Time `json:"until,omitzero"` // when it is asked again
	Answer   string    `json:"answer"`         // the last, without anything of an address or a message
	ToldAt   time.Time `json:"told_at"`
}
