package sandbox

import (
	"net/url"
	"strings"

	"github.com/meddela/meddela/consumer/deliver/recipient/address"
	"github.com/meddela/meddela/topology"
)

// fate is what a Provider does with a message.
type fate int

const (
	fateNone fate = iota
	fateFail      // refuse it for good
	fateSkip      // skip it, as suppressed
	fateSlow      // accept it after a second
	fateDown      // answer as if nothing were there
)

// fateOf reads the fate that an address asks for:
//
//   - email, webhook: a label of the domain, as in kim@fail.example.test
//   - sms: a number that ends in 0000000 fails
//   - push: the start of the token, as in fail-1234
//
// where the words are fail, skip, slow and down.
func fateOf(channel topology.Channel, to string) fate {
	switch channel {
	case topology.Email:
		_, domain := address.Split(to)
		return fateOfDomain(domain)
	case topology.Webhook:
		if target, err := url.Parse(to); err == nil {
			return fateOfDomain(target.Hostname())
		}
	case topology.SMS:
		if strings.HasSuffix(to, "0000000") {
			return fateFail
		}
	case topology.Push:
		if word, _, ok := strings.Cut(to, "-"); ok {
			return fateByName(word)
		}
	}
	return fateNone
}

func fateOfDomain(domain string) fate {
	for domain != "" {
		var label string
		label, domain, _ = strings.Cut(domain, ".")
		if f := fateByName(label); f != fateNone {
			return f
		}
	}
	return fateNone
}

func fateByName(word string) fate {
	switch word {
	case "fail":
		return fateFail
	case "skip":
		return fateSkip
	case "slow":
		return fateSlow
	case "down":
		return fateDown
	}
	return fateNone
}
