package router

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"howdah/wire"
)

// proxyTimeout is how long a proxy has for its header, which it sends at once.
const proxyTimeout = 5 * time.Second

// settleOrigin finds out where the client comes from: the other end of the
// connection, or who a proxy that is believed says it stands for. From any
// other address the header is not looked for.
func (l *login) settleOrigin() error {
	switch a := l.transport.RemoteAddr().(type) {
	case *net.UnixAddr:
		l.bySocket = true
		return nil
	case *net.TCPAddr:
		l.client = a.AddrPort().Addr().Unmap()
	default:
		return fmt.Errorf("find out where a client comes from: address %v", a)
	}
	inside := func(p netip.Prefix) bool { return p.Contains(l.client.WithZone("")) }
	if !slices.ContainsFunc(l.server.config().ProxyFrom, inside) {
		return nil
	}
	l.transport.SetReadDeadline(time.Now().Add(proxyTimeout))
	h, err := wire.ReadProxyHeader(l.transport)
	if err != nil {
		if errors.Is(err, wire.ErrNoProxyHeader) {
			l.accepted = &wire.Accepted{Conn: l.transport}
			return wire.Fatal(wire.CodeProtocolViolation, fmt.Sprintf("a connection from %s must begin with a header of the PROXY protocol, version 2", l.client),
				"proxy_protocol_from names that address; connect through the proxy.")
		}
		return err
	}
	l.transport.SetReadDeadline(l.deadline)
	if l.server.ctx.Err() != nil { // whose deadline that may have put off
		return errShutdown
	}
	if h.Local {
		return nil
	}
	l.client, l.proxied = h.Source.Addr(), &h
	l.about.address, l.about.local = h.Source.String(), h.Destination.String()
	return nil
}

// proxiedConn is a connection that tells its client's addresses for its own.
type proxiedConn struct {
	net.Conn
	header *wire.ProxyHeader
}

// RemoteAddr returns the client's address.
func (c proxiedConn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.header.Source) }

// LocalAddr returns the address that the client connected to.
func (c proxiedConn) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(c.header.Destination) }
