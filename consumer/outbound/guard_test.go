package outbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"testing"
)

func TestGuard(t *testing.T) {
	for address, want := range map[string]string{
		"8.8.8.8": "", "100.63.255.255": "", "172.32.0.1": "", "223.255.255.255": "",
		"2001:4860:4860::8888": "", "2a00:1450::1": "", "64:ff9b::808:808": "", "::ffff:8.8.8.8": "",
		"127.0.0.1": "loopback", "127.255.0.9": "loopback", "::1": "loopback", "::ffff:127.0.0.1": "loopback",
		"10.1.2.3": "private", "172.16.0.1": "private", "172.31.255.255": "private", "192.168.1.1": "private",
		"fc00::1": "private", "fd12::1": "private", "::ffff:10.0.0.1": "private", "64:ff9b::a00:1": "private",
		"100.64.0.1": "carrier-grade NAT", "100.127.255.255": "carrier-grade NAT",
		"169.254.1.1": "link-local", "169.254.169.254": "link-local", "::ffff:169.254.169.254": "link-local",
		"fe80::1": "link-local", "fe80::1%eth0": "link-local", "64:ff9b::a9fe:a9fe": "link-local",
		"100.100.100.200": "metadata", "168.63.129.16": "metadata", "192.0.0.192": "metadata",
		"fd00:ec2::254": "metadata", "fd20:ce::254": "metadata",
		"0.0.0.0": "unspecified", "::": "unspecified", "::ffff:0.0.0.0": "unspecified", "0.1.2.3": "reserved",
		"224.0.0.1": "multicast", "239.1.1.1": "multicast", "ff02::1": "multicast",
		"255.255.255.255": "reserved", "240.0.0.1": "reserved", "192.0.0.1": "reserved",
		"::7f00:1": "reserved", "64:ff9b:1::1": "reserved", "2002:7f00:1::": "reserved", "2001::1": "reserved",
		"fec0::1": "reserved", "100::1": "reserved", "4000::1": "reserved",
		"192.0.2.1": "reserved", "198.51.100.1": "reserved", "203.0.113.1": "reserved", "2001:db8::1": "reserved",
		"3fff::1":    "reserved",
		"198.18.0.1": "reserved", "192.88.99.1": "reserved",
		"64:ff9b::7f00:1": "loopback", "64:ff9b::6464:64c8": "metadata", "::ffff:100.100.100.200": "metadata",
	} {
		for _, allowPrivate := range []bool{false, true} {
			want := want
			if allowPrivate && (want == "private" || want == "loopback" || want == "carrier-grade NAT") {
				want = ""
			}
			target := netip.AddrPortFrom(netip.MustParseAddr(address), 443).String()
			err := guard(allowPrivate, false)(t.Context(), "tcp", target, nil)
			var refused blocked
			if errors.As(err, &refused) != (want != "") || string(refused) != want {
				t.Errorf("%s, private %v: %v, want %q", address, allowPrivate, err, want)
			}
		}
	}
	if err := guard(true, false)(t.Context(), "tcp4", "no address", nil); err == nil {
		t.Error("an address that cannot be read is dialled")
	}
}

// Clear text goes to private addresses only, where that is asked for: whatever the name was that led there.
func TestClearInside(t *testing.T) {
	inTheClear := context.WithValue(t.Context(), inClear{}, true)
	for address, want := range map[string]bool{
		"127.0.0.1": true, "10.1.2.3": true, "fd12::1": true, "100.64.0.1": true, "::ffff:10.0.0.1": true,
		"8.8.8.8": false, "2a00:1450::1": false, "::ffff:8.8.8.8": false, "64:ff9b::808:808": false,
		"169.254.169.254": false,
	} {
		target := netip.AddrPortFrom(netip.MustParseAddr(address), 80).String()
		if err := guard(true, true)(inTheClear, "tcp", target, nil); (err == nil) != want {
			t.Errorf("%s: %v", address, err)
		}
		if err := guard(true, true)(t.Context(), "tcp", target, nil); err != nil && address != "169.254.169.254" {
			t.Errorf("%s, encrypted: %v", address, err)
		}
	}
	target, encrypted := newTarget(t), startTarget(t, (*httptest.Server).StartTLS)
	c := newClient(t, Config{AllowPrivate: true, ClearInside: true})
	c.transport.TLSClientConfig = &tls.Config{RootCAs: roots(encrypted.Server)}
	for _, u := range []*url.URL{target.url, encrypted.url} {
		if _, err := c.Do(t.Context(), &Request{URL: u}); err != nil {
			t.Errorf("%s: %v", u.Scheme, err)
		}
	}
	public := mustURL(t, "http://8.8.8.8/") // which is refused before anything is sent
	_, err := c.Do(t.Context(), &Request{URL: public})
	wantFault(t, err, Blocked, "8.8.8.8: the target's address is public, for a request in clear text")
}

// A name is judged by the address that it leads to.
func TestGuardOfNames(t *testing.T) {
	target := newTarget(t)
	named := *target.url
	named.Host = "localhost:" + target.url.Port()
	for _, u := range []*url.URL{target.url, &named} {
		_, err := newClient(t, Config{}).Do(t.Context(), &Request{URL: u, Body: []byte("x")})
		wantFault(t, err, Blocked, u.Host+": the target's address is loopback, which is not allowed")
	}
	if n := target.requests.Load(); n != 0 {
		t.Errorf("the target has got %d requests", n)
	}
}

func TestParseURL(t *testing.T) {
	for text, ok := range map[string]bool{
		"https://a.example/x?y=1": true, "http://[::1]:8080": true,
		"": false, "a.example": false, "ftp://a.example": false, "https://": false, "https://:443/": false,
		"https://u:p@a.example/": false, "https://a.example/#f": false, "https:a.example": false,
		"https://a.example:x/": false,
		"https://a.example/\n": false,
	} {
		if _, err := ParseURL(text); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestAuthorities: each connection trusts whom the configuration of its moment trusts, and goes only where others may.
func TestAuthorities(t *testing.T) {
	s := startTarget(t, (*httptest.Server).StartTLS)
	trusted := &tls.Config{RootCAs: x509.NewCertPool()}
	for _, private := range []bool{true, false} {
		c := New(Config{AllowPrivate: private, TLS: func() *tls.Config { return trusted }})
		trusted.RootCAs = x509.NewCertPool()
		kinds := []Kind{}
		for range 2 {
			_, err := c.Do(t.Context(), &Request{URL: s.url})
			failed, _ := errors.AsType[*Error](err)
			if failed != nil {
				kinds = append(kinds, failed.Kind)
			}
			trusted.RootCAs.AddCert(s.Certificate())
			c.Close()
		}
		want := []Kind{Insecure}
		if !private {
			want = []Kind{Blocked, Blocked}
		}
		if !slices.Equal(kinds, want) {
			t.Errorf("private %v: %v", private, kinds)
		}
	}
}
