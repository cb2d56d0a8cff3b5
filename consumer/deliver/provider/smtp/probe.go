package smtp

import (
	"context"

	"github.com/meddela/meddela/consumer/deliver/provider"
)

// Probe implements provider.Prober.
func (s *Provider) Probe(ctx context.Context) provider.Response {
	ctx, cancel := context.WithTimeout(ctx, s.config.Timeout)
	defer cancel()
	conn, failed := s.connect(ctx)
	if failed != nil {
		return failed.response(s.config.Answers)
	}
	conn.quit()
	return provider.Response{Verdict: provider.Accepted}
}
