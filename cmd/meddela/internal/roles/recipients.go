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
	list := &suppress.List{Client: client, Keys: r.Keys, Hasher: r.Config.Hasher()}
	return &suppress.Gate{List: list, Caps: caps}, nil
}
