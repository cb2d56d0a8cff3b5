package scenario

import (
	"bytes"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
)

// kcat is an upstream system on librdkafka.
type kcat struct{ brokers string }

// keyDelimiter stands between key and value on kcat's input.
const keyDelimiter = "\x1f"

func (k kcat) publish(topic string, records []record) error {
	for len(records) > 0 {
		n := 1
		for n < len(records) && sameCall(&records[n], &records[0]) {
			n++
		}
		if err := k.call(topic, records[:n]); err != nil {
			return err
		}
		records = records[n:]
	}
	return nil
}

// sameCall reports whether one kcat can publish both.
func sameCall(a, b *record) bool {
	return a.partition == b.partition && (a.key == "") == (b.key == "") && slices.Equal(a.headers, b.headers)
}

func (k kcat) call(topic string, records []record) error {
	first := &records[0]
	args := []string{
		"-P", "-E", "-Z", "-b", k.brokers, "-t", topic,
		"-X", "message.max.bytes=2097152", // more than the broker takes
	}
	if first.key != "" {
		args = append(args, "-K", keyDelimiter)
	}
	if first.partition != anyPartition {
		args = append(args, "-p", strconv.Itoa(first.partition))
	}
	for _, h := range first.headers {
		args = append(args, "-H", h)
	}
	var input bytes.Buffer
	for _, r := range records {
		if first.key != "" {
			input.WriteString(r.key + keyDelimiter)
		}
		input.Write(r.value)
		input.WriteByte('\n')
	}
	cmd := exec.Command("kcat", args...)
	cmd.Stdin = &input
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("kcat: %w\n%s", err, out)
	}
	return nil
}
