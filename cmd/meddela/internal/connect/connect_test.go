package connect

import (
	"testing"

	"github.com/segmentio/kafka-go"

	"github.com/meddela/meddela/cmd/meddela/internal/config"
)

func TestCompression(t *testing.T) {
	for name, want := range map[string]kafka.Compression{
		"none": 0, "gzip": kafka.Gzip, "snappy": kafka.Snappy, "lz4": kafka.Lz4, "zstd": kafka.Zstd,
	} {
		settings := config.KafkaSettings{Compression: name}
		if got := Compression(&settings); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
}
