package config

import (
	"fmt"
	"os"
	"strings"

	"github.com/meddela/meddela/cmd/meddela/internal/providerfile"
)

// ProviderFile is what the providers' file says; nil where there is none. The
// error is Faults.
func (c *Config) ProviderFile() (*providerfile.File, error) {
	if c.Deliver.File == "" {
		return nil, nil
	}
	text, err := os.ReadFile(c.Deliver.File)
	if err != nil {
		return nil, Faults{fmt.Sprintf("MEDDELA_PROVIDERS_FILE cannot be read: %v", err)}
	}
	file, err := providerfile.Parse(c.Deliver.File, string(text), os.LookupEnv)
	if err != nil {
		return nil, Faults(strings.Split(err.Error(), "\n"))
	}
	return file, nil
}
