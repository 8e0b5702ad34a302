package main

import (
	"net/netip"
	"strings"
)

// parseNetwork reads "10.0.0.0/24", or an address for itself alone.
func parseNetwork(text string) (netip.Prefix, bool) {
	if strings.Contains(text, "/") {
		p, err := netip.ParsePrefix(text)
		return p.Masked(), err == nil && !p.Addr().Is4In6()
	}
	a, err := netip.ParseAddr(text)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), true
}

// proxies returns the networks of ProxyFrom, which were checked.
func (l *Listen) proxies() []netip.Prefix {
	var all []netip.Prefix
	for _, text := range l.ProxyFrom {
		if p, ok := parseNetwork(text); ok {
			all = append(all, p)
		}
	}
	return all
}

// checkProxies notes what is no network, and what proxies do not go with.
func (r *configReader) checkProxies() {
	l := &r.config.Listen
	at := []string{string(sectionListen), "proxy_protocol_from"}
	for _, text := range l.ProxyFrom {
		p, ok := parseNetwork(text)
		switch {
		case !ok:
			r.wrong(at, `write an address or network such as "10.0.0.5" or "10.0.0.0/24"`, "%q is no network", text)
		case p.Bits() == 0:
			r.note(at, "write the addresses of the proxies", "%q lets every client say where it comes from", text)
		}
	}
	if len(l.ProxyFrom) > 0 && l.AuthType == "trust" && l.HBAFile == "" {
		r.wrong([]string{string(sectionListen), "auth_type"}, `write auth_type = "scram-sha-256"`, "auth_type \"trust\" does not go with proxies that are believed")
	}
}
