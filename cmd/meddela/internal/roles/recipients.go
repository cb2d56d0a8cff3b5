package roles

import (
	"github.com/redis/go-redis/v9"

	"github.com/meddela/meddela/consumer/deliver"
	"github.com/meddela/meddela/consumer/deliver/recipient/suppress"
)

// gate says who must not be written to.
func (r *role) gate(client redis.UniversalClient) (deliver.Gate, error) {
	caps, err := r.Config.Caps()
	if err != nil {
		return nil, err
	}
	gate := &suppress.Gate{List: &suppress.List{Client: client, Keys: r.Keys, Hasher: r.Config.Hasher()}}
	if len(caps) > 0 {
		gate.Caps = &suppress.Caps{Client: client, Keys: r.Keys, Hasher: gate.List.Hasher, Of: caps}
	}
	return gate, nil
}
