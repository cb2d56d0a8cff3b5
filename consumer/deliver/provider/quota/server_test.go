package quota

import (
	"os"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

// onServers runs a test on the embedded store, and on a real Redis where there
// is one.
func onServers(t *testing.T, test func(t *testing.T, address string)) {
	t.Run("embedded", func(t *testing.T) { test(t, miniredis.RunT(t).Addr()) })
	if address := os.Getenv("MEDDELA_TEST_REDIS"); address != "" {
		t.Run("real", func(t *testing.T) {
			client := redis.NewClient(&redis.Options{Addr: address})
			t.Cleanup(func() {
				for _, kind := range []string{"rate", "slots"} {
					client.Del(t.Context(), "quota-test-"+t.Name()+":provider:"+kind+":ses")
				}
				_ = client.Close()
			})
			test(t, address)
		})
	}
}
