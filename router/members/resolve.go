package members

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// resolving is how often the names of members are looked up.
const resolving = 3 * time.Second

// lookupTimeout is how long one look-up may take.
const lookupTimeout = 2 * time.Second

var errMoved = errors.New("members: the name leads to another address")

// reachedAt notes where a member was reached, and reports whether that is where it
// was reached before. If not, another Member takes its place.
func (w *Watch) reachedAt(m *Member, conn *pgconn.PgConn) bool {
	at := addressOf(conn.Conn().RemoteAddr())
	w.mu.Lock()
	before := m.at
	m.at = at
	w.mu.Unlock()
	if !before.IsValid() || !at.IsValid() || before == at {
		return true
	}
	w.replace(m, "it is reached at "+at.String()+", before at "+before.String())
	return false
}

// addressOf returns the IP address in a, the zero one for a socket's.
func addressOf(a net.Addr) netip.Addr {
	if t, ok := a.(*net.TCPAddr); ok {
		return plain(t.AddrPort().Addr())
	}
	return netip.Addr{}
}

// plain is the form in which addresses are compared.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// followNames looks up the names of members again and again. One that no longer
// leads to where the member was reached leads to another server: the connection
// that stands there would never tell.
func (w *Watch) followNames(ctx context.Context) {
	for {
		timer := time.NewTimer(resolving)
		select {
		case <-timer.C:
		case <-w.doubted:
			sleep(ctx, soonest)
		case <-ctx.Done():
		}
		if timer.Stop(); ctx.Err() != nil {
			return
		}
		known := map[string][]netip.Addr{}
		for _, m := range w.all() {
			host := HostName(m.Address)
			w.mu.Lock()
			at := m.at
			w.mu.Unlock()
			if host == "" || !at.IsValid() {
				continue
			}
			addresses, ok := known[host]
			if !ok {
				addresses = w.lookUp(ctx, host)
				known[host] = addresses
			}
			if len(addresses) > 0 && !slices.Contains(addresses, at) {
				w.replace(m, "it was reached at "+at.String()+", which is not among its addresses now")
			}
		}
	}
}

// Doubt has the names of members looked up at once: somebody has come to another
// server by one.
func (w *Watch) Doubt() {
	select {
	case w.doubted <- struct{}{}:
	default:
	}
}

// HostName returns the host of an address, "" if that is an IP address or the
// address is a socket's.
func HostName(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil || address[0] == '/' {
		return ""
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return ""
	}
	return host
}

// lookUp returns the addresses of a host, nil if they cannot be told now.
func (w *Watch) lookUp(ctx context.Context, host string) (addresses []netip.Addr) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	resolve := w.cfg.Resolve
	if resolve == nil {
		resolve = net.DefaultResolver.LookupHost
	}
	texts, err := resolve(ctx, host)
	if err != nil {
		return nil // a name server that is away moves nobody
	}
	for _, text := range texts {
		if a, err := netip.ParseAddr(text); err == nil {
			addresses = append(addresses, plain(a))
		}
	}
	return addresses
}
