package roles

import (
	"fmt"
	"net"
	"strconv"

	"github.com/meddela/meddela/cmd/meddela/internal/config"
	"github.com/meddela/meddela/consumer/deliver/provider"
	"github.com/meddela/meddela/consumer/deliver/provider/smtp"
)

// newSMTP makes the configured SMTP provider. Its error is Faults.
func newSMTP(s *config.SMTPSettings) (provider.Provider, error) {
	host, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		return nil, config.Faults{fmt.Sprintf("MEDDELA_SMTP_ADDR: %v", err)}
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return nil, config.Faults{fmt.Sprintf("MEDDELA_SMTP_ADDR: %v", err)}
	}
	provider, err := smtp.New(smtp.Config{
		Host: host, Port: number,
		Security: smtp.Security(s.TLS),
		Username: s.Username, Password: s.Password.Reveal(),
		From: s.From, FromName: s.FromName,
		Concurrency: s.Concurrency,
	})
	if err != nil {
		return nil, config.Faults{fmt.Sprintf("MEDDELA_SMTP_…: %v", err)}
	}
	return provider, nil
}
