package scenario

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os/exec"
	"strings"

	"github.com/redis/go-redis/v9"
)

// redisCLI is a reader by way of redis-cli.
type redisCLI struct{ addr string }

func (r redisCLI) hashes(keys []string) ([]map[string]string, error) {
	hashes := make([]map[string]string, len(keys))
	if len(keys) == 0 {
		return hashes, nil
	}
	out, err := r.call("HGETALL " + strings.Join(keys, "\nHGETALL ") + "\n")
	if err != nil {
		return nil, err
	}
	replies := json.NewDecoder(bytes.NewReader(out))
	for i := range hashes {
		if err := replies.Decode(&hashes[i]); err != nil {
			return nil, fmt.Errorf("redis-cli HGETALL %s: %w", keys[i], err)
		}
	}
	return hashes, nil
}

func (r redisCLI) keys(prefix string) ([]string, error) {
	out, err := r.call("", "--scan", "--pattern", prefix+"*")
	return strings.Fields(string(out)), err
}

func (r redisCLI) remove(keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	_, err := r.call("UNLINK " + strings.Join(keys, " ") + "\n") // at once: what is lost is written again meanwhile
	return err
}

func (r redisCLI) call(input string, args ...string) ([]byte, error) {
	host, port, err := net.SplitHostPort(r.addr)
	if err != nil {
		return nil, err
	}
	if len(args) == 0 {
		args = []string{"-e", "--json"}
	}
	cmd := exec.Command("redis-cli", append([]string{"-h", host, "-p", port}, args...)...)
	cmd.Stdin = strings.NewReader(input)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("redis-cli: %w\n%s", err, stderr.Bytes())
	}
	return out, nil
}

// goRedis is a reader on go-redis.
type goRedis struct{ client *redis.Client }

func (r goRedis) hashes(keys []string) ([]map[string]string, error) {
	ctx := context.Background()
	answers := make([]*redis.MapStringStringCmd, len(keys))
	_, err := r.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, key := range keys {
			answers[i] = p.HGetAll(ctx, key)
		}
		return nil
	})
	hashes := make([]map[string]string, len(keys))
	for i, answer := range answers {
		hashes[i] = answer.Val()
	}
	return hashes, err
}

func (r goRedis) keys(prefix string) ([]string, error) {
	var keys []string
	ctx := context.Background()
	scan := r.client.Scan(ctx, 0, prefix+"*", 1000).Iterator()
	for scan.Next(ctx) {
		keys = append(keys, scan.Val())
	}
	return keys, scan.Err()
}

func (r goRedis) remove(keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	return r.client.Del(context.Background(), keys...).Err()
}
