package embedded

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// TestCommands are those that meddela and its readers use.
func TestCommands(t *testing.T) {
	_, client := newStore(t)
	later := strconv.FormatInt(time.Now().Add(time.Hour).UnixMilli(), 10)
	for _, c := range []struct {
		command string
		want    any
	}{
		{"HSET h a 1 b 2", int64(2)},
		{"HGETALL h", map[any]any{"a": "1", "b": "2"}},
		{"HMGET h b none", []any{"2", nil}},
		{"HDEL h b", int64(1)},
		{"PEXPIREAT h " + later, int64(1)},
		{"SET claim mine NX GET PX 60000", nil},
		{"SET claim yours NX GET PX 60000", "mine"},
		{"SET claim yours NX PX 60000", nil},
		{"GET claim", "mine"},
		{"SCAN 0 MATCH h* COUNT 100", []any{"0", []any{"h"}}},
		{"PUBLISH nobody hears", int64(0)},
		{"EXISTS h claim none", int64(2)},
		{"UNLINK h claim", int64(2)},
		{"DBSIZE", int64(0)},
	} {
		var arguments []any
		for _, word := range strings.Fields(c.command) {
			arguments = append(arguments, word)
		}
		got, err := client.Do(t.Context(), arguments...).Result()
		if errors.Is(err, redis.Nil) {
			got, err = nil, nil
		}
		if err != nil || fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s: %v, %v, want %v", c.command, got, err, c.want)
		}
	}
}

// TestScripts do what Redis does, as far as meddela's depend on it.
func TestScripts(t *testing.T) {
	_, client := newStore(t)
	at := time.Now().Add(time.Hour).UnixMilli()
	for name, c := range map[string]struct {
		script string
		want   string
	}{
		"strings compare by bytes": {
			`local n = 0
			for _, pair in ipairs({{'', 'a'}, {'a', 'b'}, {'Z', 'a'}, {'9', 'A'}, {'10', '9'}, {'a', 'a\0'},
				{'z', '\195\164'}, {'a\127', 'a\128'}, {'1.1.1', '1.1.2'}}) do
				if pair[1] < pair[2] and not (pair[2] < pair[1]) and not (pair[2] <= pair[1]) then n = n + 1 end
			end
			return n`, "9",
		},
		"large numbers stay whole": {
			`redis.call('SET', 'n', 'v')
			redis.call('PEXPIREAT', 'n', ` + strconv.FormatInt(at, 10) + ` + 0)
			local left = redis.call('PTTL', 'n')
			return left > 3590000 and left <= 3600000 and 1 or left`, "1",
		},
		"SET with NX and GET": {
			`local first = redis.call('SET', 'c', 'mine', 'PX', '60000', 'NX', 'GET')
			local second = redis.call('SET', 'c', 'yours', 'PX', '60000', 'NX', 'GET')
			return {tostring(first), second, redis.call('GET', 'c')}`, "[false mine mine]",
		},
		"an error is a table for pcall": {
			`redis.call('HSET', 'hash', 'f', 'v')
			return string.match(redis.pcall('SET', 'hash', 'v', 'NX', 'GET').err, '^%a+')`, "WRONGTYPE",
		},
		"what is not there is false": {
			`return tostring(redis.call('HMGET', 'none', 'f')[1])`, "false",
		},
		"the time has two parts": {
			`local time = redis.call('TIME')
			return #time == 2 and time[1] * 1000 > 1700000000000 and 1 or 0`, "1",
		},
	} {
		got, err := client.Eval(t.Context(), c.script, nil).Result()
		if err != nil || fmt.Sprint(got) != c.want {
			t.Errorf("%s: %v, %v, want %s", name, got, err, c.want)
		}
	}
}

// TestAScriptWithManyKeys, by its text and by its hash.
func TestAScriptWithManyKeys(t *testing.T) {
	_, client := newStore(t)
	const n = 5000
	var keys []string
	var values []any
	for i := range n {
		keys = append(keys, "k"+strconv.Itoa(i))
		values = append(values, i)
	}
	script := redis.NewScript(`for i, key in ipairs(KEYS) do redis.call('HSET', key, 'n', ARGV[i]) end
		return #KEYS`)
	client = client.WithTimeout(10 * time.Second)
	for range 2 {
		if got, err := script.Run(t.Context(), client, keys, values...).Int(); got != n || err != nil {
			t.Fatalf("%d of %d keys, %v", got, n, err)
		}
	}
	if got := client.HGet(t.Context(), "k4999", "n").Val(); got != "4999" {
		t.Errorf("the last is %q", got)
	}
}

// TestSubscribers hear what is published.
func TestSubscribers(t *testing.T) {
	_, client := newStore(t)
	subscriber := client.Subscribe(t.Context(), "status")
	defer func() { _ = subscriber.Close() }()
	if _, err := subscriber.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	if heard, err := client.Publish(t.Context(), "status", "moved").Result(); heard != 1 || err != nil {
		t.Errorf("%d heard it, %v", heard, err)
	}
	if message, err := subscriber.ReceiveMessage(t.Context()); err != nil || message.Payload != "moved" {
		t.Errorf("heard %v, %v", message, err)
	}
}

// TestKeysExpire by themselves, and neither much too early nor much too late.
func TestKeysExpire(t *testing.T) {
	_, client := newStore(t)
	const life = 500 * time.Millisecond
	written := time.Now()
	client.Set(t.Context(), "k", "v", life)
	client.Set(t.Context(), "for ever", "v", 0)
	eventually(t, "gone", func() bool { return client.Exists(t.Context(), "k").Val() == 0 })
	if lived := time.Since(written); lived < life-2*expiryInterval {
		t.Errorf("it lived for %v, want %v", lived, life)
	}
	if client.Exists(t.Context(), "for ever").Val() != 1 {
		t.Error("what has no end is gone as well")
	}
}

// TestStoreClose: it may be called again, and another store on the port knows nothing of the first.
func TestStoreClose(t *testing.T) {
	store, client := newStore(t)
	client.Ping(t.Context())
	for range 2 {
		store.Close()
	}
	again, err := StartStore(StoreConfig{Port: portOf(t, store.Addr())})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if again.Addr() != store.Addr() {
		t.Errorf("it listens on %s, want %s", again.Addr(), store.Addr())
	}
	if keys := client.Keys(t.Context(), "*").Val(); !slices.Equal(keys, []string{}) {
		t.Errorf("there are %v", keys)
	}
}
