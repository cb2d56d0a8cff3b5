package bench

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// deleteKeys unlinks every key with a prefix, on every node, and waits until
// their memory is free, so that the freeing is not measured with what follows.
func (b *Bench) deleteKeys(ctx context.Context, prefix string) error {
	err := b.eachNode(ctx, func(ctx context.Context, node *redis.Client) error {
		if err := unlinkAll(ctx, node, prefix); err != nil {
			return err
		}
		return awaitFreed(ctx, node)
	})
	if err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	return nil
}

func (b *Bench) eachNode(ctx context.Context, do func(context.Context, *redis.Client) error) error {
	switch client := b.Redis.(type) {
	case *redis.ClusterClient:
		return client.ForEachMaster(ctx, do)
	case *redis.Client:
		return do(ctx, client)
	}
	return fmt.Errorf("no way to list the keys of a %T", b.Redis)
}

func unlinkAll(ctx context.Context, node *redis.Client, prefix string) error {
	const page = 2000
	var cursor uint64
	for {
		keys, next, err := node.Scan(ctx, cursor, prefix+"*", page).Result()
		if err != nil {
			return err
		}
		pipe := node.Pipeline()
		for _, key := range keys { // one by one: on a cluster they are of many slots
			pipe.Unlink(ctx, key)
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return err
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

// awaitFreed waits until the node has freed what was unlinked. A node that
// does not say is not waited for.
func awaitFreed(ctx context.Context, node *redis.Client) error {
	const interval = 20 * time.Millisecond
	for {
		info, err := node.Info(ctx, "memory").Result()
		if err != nil || infoNumber(info, "lazyfree_pending_objects") == 0 {
			return err
		}
		if err := sleep(ctx, interval); err != nil {
			return err
		}
	}
}

// infoNumber is a number out of the INFO of a Redis; 0 when it is not there.
func infoNumber(info, name string) int {
	for line := range strings.Lines(info) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			n, _ := strconv.Atoi(strings.TrimSpace(value))
			return n
		}
	}
	return 0
}

// sleep waits, or returns ctx's error when that ends first.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
