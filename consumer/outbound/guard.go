package outbound

import (
	"context"
	"net/netip"
	"syscall"
)

// BlockedError means that an address may not be dialled.
type BlockedError struct {
	Addr netip.Addr
	// Kind of address: "private", "loopback", "link-local" …
	Kind string
}

func (e *BlockedError) Error() string { return "outbound: " + e.Kind + " addresses may not be dialled" }

// guard decides which addresses may be dialled.
type guard struct {
	allowPrivate bool
	allow        []netip.Prefix
}

// control is called with the address that is about to be connected to.
func (g *guard) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	target, err := netip.ParseAddrPort(address)
	if err != nil {
		return &BlockedError{Kind: "unreadable"}
	}
	return g.check(target.Addr())
}

// check returns a *BlockedError for an address that may not be dialled.
func (g *guard) check(addr netip.Addr) error {
	addr = addr.Unmap().WithZone("")
	for _, p := range g.allow {
		if p.Contains(addr) {
			return nil
		}
	}
	r := rangeOf(addr)
	if r == nil || r.inside && g.allowPrivate {
		return nil
	}
	return &BlockedError{Addr: addr, Kind: r.kind}
}

// addrRange is a network that is not on the public internet.
type addrRange struct {
	prefix netip.Prefix
	kind   string
	inside bool // this machine's, or a company's own: AllowPrivate opens it
}

// rangeOf is the range that addr is in; nil if it is a public address. An
// IPv4 address that is translated from IPv6 is judged by itself.
func rangeOf(addr netip.Addr) *addrRange {
	if translated.Contains(addr) {
		b := addr.As16()
		return rangeOf(netip.AddrFrom4([4]byte(b[12:])))
	}
	for i := range ranges {
		if ranges[i].prefix.Contains(addr) {
			return &ranges[i]
		}
	}
	if addr.Is6() && !global.Contains(addr) {
		return &reserved
	}
	return nil
}

var (
	translated = netip.MustParsePrefix("64:ff9b::/96") // NAT64, RFC 6052
	global     = netip.MustParsePrefix("2000::/3")     // all that is given out of IPv6
	reserved   = addrRange{prefix: netip.MustParsePrefix("::/0"), kind: "reserved"}
)

// ranges are those of the special-purpose registries of IANA, and the addresses
// of cloud metadata that are outside of them.
var ranges = []addrRange{
	{netip.MustParsePrefix("0.0.0.0/32"), "unspecified", false},
	{netip.MustParsePrefix("0.0.0.0/8"), "reserved", false},
	{netip.MustParsePrefix("10.0.0.0/8"), "private", true},
	{netip.MustParsePrefix("100.100.100.200/32"), "metadata", false},
	{netip.MustParsePrefix("100.64.0.0/10"), "carrier-grade NAT", true},
	{netip.MustParsePrefix("127.0.0.0/8"), "loopback", true},
	{netip.MustParsePrefix("168.63.129.16/32"), "metadata", false},
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local", false},
	{netip.MustParsePrefix("172.16.0.0/12"), "private", true},
	{netip.MustParsePrefix("192.0.0.192/32"), "metadata", false},
	{netip.MustParsePrefix("192.0.0.0/24"), "reserved", false},
	{netip.MustParsePrefix("192.0.2.0/24"), "documentation", false},
	{netip.MustParsePrefix("192.88.99.0/24"), "reserved", false},
	{netip.MustParsePrefix("192.168.0.0/16"), "private", true},
	{netip.MustParsePrefix("198.18.0.0/15"), "benchmarking", false},
	{netip.MustParsePrefix("198.51.100.0/24"), "documentation", false},
	{netip.MustParsePrefix("203.0.113.0/24"), "documentation", false},
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast", false},
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved", false},
	{netip.MustParsePrefix("::/128"), "unspecified", false},
	{netip.MustParsePrefix("::1/128"), "loopback", true},
	{netip.MustParsePrefix("2001::/23"), "reserved", false}, // Teredo among them
	{netip.MustParsePrefix("2001:db8::/32"), "documentation", false},
	{netip.MustParsePrefix("2002::/16"), "reserved", false}, // 6to4
	{netip.MustParsePrefix("3fff::/20"), "documentation", false},
	{netip.MustParsePrefix("fd00:ec2::254/128"), "metadata", false},
	{netip.MustParsePrefix("fd20:ce::254/128"), "metadata", false},
	{netip.MustParsePrefix("fc00::/7"), "private", true},
	{netip.MustParsePrefix("fe80::/10"), "link-local", false},
	{netip.MustParsePrefix("ff00::/8"), "multicast", false},
}
