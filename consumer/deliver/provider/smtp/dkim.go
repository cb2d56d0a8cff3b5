package smtp

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"

	"github.com/emersion/go-msgauth/dkim"
	"github.com/wneessen/go-mail"
)

// DKIM is how messages are signed, so that receivers know whose they are (RFC
// 6376, RFC 8463).
type DKIM struct {
	// Domain and Selector name the DNS record with the public key.
	Domain, Selector string
	// Key is a private key in PEM: RSA of 2048 bits or more, or Ed25519.
	Key []byte
}

// signed are the headers that a signature covers, where a message has them.
var signed = []string{
	"From", "Reply-To", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type", "Content-Transfer-Encoding",
	"Auto-Submitted", "List-Unsubscribe", "List-Unsubscribe-Post",
}

const leastRSABits = 2048

func (d *DKIM) options() (*dkim.SignOptions, error) {
	if d.Domain == "" && d.Selector == "" && len(d.Key) == 0 {
		return nil, nil
	}
	if d.Domain == "" || d.Selector == "" {
		return nil, errors.New("domain and selector are both needed")
	}
	signer, err := signerOf(d.Key)
	if err != nil {
		return nil, err
	}
	return &dkim.SignOptions{
		Domain: d.Domain, Selector: d.Selector, Signer: signer, Hash: crypto.SHA256, HeaderKeys: signed,
		HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed,
	}, nil
}

func signerOf(text []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("the key is not in PEM form")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		if key, err = x509.ParsePKCS1PrivateKey(block.Bytes); err != nil {
			return nil, errors.New("the key is no private key of PKCS #8 or #1")
		}
	}
	switch key := key.(type) {
	case *rsa.PrivateKey:
		if key.N.BitLen() < leastRSABits {
			return nil, errors.New("an RSA key needs 2048 bits or more")
		}
		return key, nil
	case ed25519.PrivateKey:
		return key, nil
	}
	return nil, errors.New("the key must be of RSA or Ed25519")
}

// sign writes a message with its signature before it.
func (s *Provider) sign(text *messageBuffer, msg *mail.Msg) error {
	var plain bytes.Buffer
	if _, err := msg.WriteTo(&plain); err != nil {
		return err
	}
	return dkim.Sign(text, &plain, s.dkim)
}
