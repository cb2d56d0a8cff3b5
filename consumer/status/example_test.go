package status_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/meddela/meddela/consumer/status"
	"github.com/meddela/meddela/producer/embedded"
	"github.com/meddela/meddela/topology"
)

// Asking what became of an event.
func ExampleReader_Get() {
	store, err := embedded.StartStore(embedded.StoreConfig{})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	client := redis.NewClient(&redis.Options{Addr: store.Addr()})
	defer client.Close()
	keys := topology.Keys{Prefix: topology.DefaultKeyPrefix}
	ctx := context.Background()

	// The role writes; programs that want to know read.
	at := time.Now()
	written := topology.StateOf(&topology.Entry{
		EventID: "webshop-A-1007", Lane: topology.Realtime, Type: "order_confirmation", Channel: topology.Email,
		Attempt: 1, Status: topology.Sent, Template: "order@1", ReceivedAt: at, At: at,
	})
	if err := (&status.Store{Client: client, Keys: keys}).Write(ctx, []topology.State{written}); err != nil {
		log.Fatal(err)
	}

	reader := status.Reader{Client: client, Keys: keys}
	state, known, err := reader.Get(ctx, "webshop-A-1007")
	fmt.Println(state.Status, state.Template, known, err)
	_, known, err = reader.Get(ctx, "another")
	fmt.Println(known, err)
	// Output:
	// sent order@1 true <nil>
	// false <nil>
}
