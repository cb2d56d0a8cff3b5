package outbound

import (
	"context"
	"net/netip"
	"slices"
	"syscall"

	"code.dny.dev/ssrf"
)

// blocked is why an address may not be dialled: its kind.
type blocked string

func (b blocked) Error() string { return "outbound: " + string(b) + " addresses may not be dialled" }

// inClear marks the context of a request that is not encrypted, in which its connection is dialled.
type inClear struct{}

// guard returns what is called with each address that is about to be connected to: it lets those be dialled that IANA's
// special-purpose registries have as public, where requests may go there as they are.
func guard(allowPrivate, clearInside bool) func(context.Context, string, string, syscall.RawConn) error {
	options := []ssrf.Option{ssrf.WithAnyNetwork(), ssrf.WithAnyPort()}
	if allowPrivate {
		options = append(options, ssrf.WithAllowedV4Prefixes(private4...), ssrf.WithAllowedV6Prefixes(private6...))
	}
	registry := ssrf.New(options...)
	return func(ctx context.Context, _, address string, _ syscall.RawConn) error {
		target, err := netip.ParseAddrPort(address)
		if err != nil {
			return blocked("unreadable")
		}
		// An IPv4 address inside one of IPv6, mapped or translated (NAT64), is judged by itself.
		addr := target.Addr().Unmap().WithZone("")
		if ssrf.IPv6NAT64Prefix.Contains(addr) {
			b := addr.As16()
			addr = netip.AddrFrom4([4]byte(b[12:]))
		}
		if slices.Contains(metadata, addr) || registry.SafeAddr(addr) != nil {
			return blocked(kindOf(addr))
		}
		contains := func(p netip.Prefix) bool { return p.Contains(addr) }
		if clearInside && ctx.Value(inClear{}) != nil && !slices.ContainsFunc(private4, contains) &&
			!slices.ContainsFunc(private6, contains) {
			return blocked("public, for a request in clear text")
		}
		return nil
	}
}

// IsLoopback reports whether a host, by name or by address, is this machine.
func IsLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.Unmap().IsLoopback()
}

func kindOf(addr netip.Addr) string {
	switch {
	case slices.Contains(metadata, addr):
		return "metadata"
	case addr.IsUnspecified():
		return "unspecified"
	case addr.IsLoopback():
		return "loopback"
	case addr.IsPrivate():
		return "private"
	case sharedNAT.Contains(addr):
		return "carrier-grade NAT"
	case addr.IsLinkLocalUnicast():
		return "link-local"
	case addr.IsMulticast():
		return "multicast"
	}
	return "reserved"
}

var (
	sharedNAT = netip.MustParsePrefix("100.64.0.0/10")

	// private4 and private6 are this machine's networks and a company's own.
	private4 = []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"),
		netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("127.0.0.0/8"), sharedNAT,
	}
	private6 = []netip.Prefix{netip.MustParsePrefix("fc00::/7"), netip.MustParsePrefix("::1/128")}

	// metadata are the addresses of cloud metadata that are not link-local. Some
	// are within private networks, which do not open them.
	metadata = []netip.Addr{
		netip.MustParseAddr("100.100.100.200"), netip.MustParseAddr("168.63.129.16"),
		netip.MustParseAddr("192.0.0.192"), netip.MustParseAddr("fd00:ec2::254"), netip.MustParseAddr("fd20:ce::254"),
	}
)
