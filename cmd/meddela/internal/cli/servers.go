//go:build !noservers

package cli

import "github.com/meddela/meddela/cmd/meddela/internal/cli/up"

func init() { withServers = append(withServers, up.NewDemo, up.NewUp) }
