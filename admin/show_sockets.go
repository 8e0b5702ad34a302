package admin

import (
	"cmp"
	"math"
	"net"
	"slices"
	"strconv"
	"time"

	"howdah/router"
)

func showClients(s *session, row func(...any)) {
	now := time.Now()
	for _, c := range s.console.clients() {
		row(socketValues(&c, "C", "", now)...)
	}
}

func showServers(s *session, row func(...any)) {
	now := time.Now()
	for _, c := range s.console.Servers() {
		row(socketValues(&c, "S", "", now)...)
	}
}

// showPins has a row for each reason for which a client keeps its server
// between transactions. What it held the server for counts from its
// assignment.
func showPins(s *session, row func(...any)) {
	for _, c := range s.console.clients() {
		for _, reason := range c.Pins {
			row(c.Database, c.User, c.Addr, c.Port, c.ApplicationName, reason, c.PinnedFor.Microseconds(), c.RemotePID, shortID(c.ID))
		}
	}
}

func showSockets(s *session, row func(...any)) {
	s.eachSocket(row, func(*router.ConnStats) bool { return true })
}

// showActiveSockets has those with received bytes that wait to be passed on.
func showActiveSockets(s *session, row func(...any)) {
	s.eachSocket(row, func(c *router.ConnStats) bool { return c.Received != c.Processed })
}

func (s *session) eachSocket(row func(...any), want func(*router.ConnStats) bool) {
	now := time.Now()
	show := func(all []router.ConnStats, typ, prefix string) {
		for _, c := range all {
			if want(&c) {
				unread := c.Received - c.Processed
				row(append(socketValues(&c, typ, prefix, now), c.Received, c.Processed, 0, c.Processed, 0, unread, 0)...)
			}
		}
	}
	show(s.console.clients(), "C", "cl_")
	show(s.console.Servers(), "S", "sv_")
}

// showFDs has the sockets that TLS does not protect, as PgBouncer shows them to
// its successor. Here nobody takes a socket over that way: descriptors are not
// passed on, and no secret is told, neither cancel keys nor passwords.
func showFDs(s *session, row func(...any)) {
	clients, servers := s.console.Clients(), s.console.Servers()
	byID := make(map[uint64]*router.ConnStats, len(clients)+len(servers))
	for _, all := range [][]router.ConnStats{clients, servers} {
		for i := range all {
			byID[all[i].ID] = &all[i]
		}
	}
	show := func(all []router.ConnStats, task string) {
		for _, c := range all {
			link := byID[c.Link]
			if link == nil {
				link = &router.ConnStats{}
			}
			if c.FD == 0 || c.TLS != "" || link.TLS != "" {
				continue
			}
			row(c.FD, task, c.User, c.Database, c.Addr, c.Port, 0, link.FD, orNull(c.ClientEncoding),
				orNull(c.StandardStrings), orNull(c.DateStyle), orNull(c.TimeZone), nil, nil, nil)
		}
	}
	show(clients, "client")
	show(servers, "server")
}

// socketValues returns the values of socketColumns.
func socketValues(c *router.ConnStats, typ, prefix string, now time.Time) []any {
	connected := c.ConnectTime
	if connected.IsZero() {
		connected = now
	}
	asked := c.RequestTime
	if asked.IsZero() {
		asked = connected
	}
	wait, us := microseconds(c.Wait)
	state := prefix + c.State
	if prefix == "cl_" && c.State == "idle" {
		state = "cl_active" // PgBouncer knows idle clients by another name only here
	}
	return []any{
		cmp.Or(c.Type, typ), cmp.Or(c.User, "(nouser)"), cmp.Or(c.Database, "(nodb)"), cmp.Or(c.Replication, "none"),
		state, c.Addr, c.Port, c.LocalAddr, c.LocalPort,
		connected, asked, wait, us, c.CloseNeeded, pointer(c.ID), pointer(c.Link), c.RemotePID, c.TLS,
		c.ApplicationName, c.PreparedStatements, shortID(c.ID),
	}
}

// shortID fits an ID into its column, an int4. Clients' IDs are small and stay
// what KILL_CLIENT takes, those of the console's own are negative; servers' may
// have high bits that only tell them from clients.
func shortID(id uint64) int64 {
	if n := int64(id); n < 0 {
		return n
	}
	return int64(id & math.MaxInt32)
}

// pointer renders an ID where PgBouncer shows an address in memory: it only
// serves to join ptr and link.
func pointer(id uint64) string {
	if id == 0 {
		return ""
	}
	return "0x" + strconv.FormatUint(id, 16)
}

// clients returns the router's clients and then the console's own.
func (c *Console) clients() []router.ConnStats {
	all := slices.Clone(c.Clients())
	c.mu.Lock()
	defer c.mu.Unlock()
	own := make([]router.ConnStats, 0, len(c.sessions))
	for _, s := range c.sessions {
		own = append(own, s.stats())
	}
	slices.SortFunc(own, func(a, b router.ConnStats) int { return a.ConnectTime.Compare(b.ConnectTime) })
	return append(all, own...)
}

// stats describes the session. Its ID is negative, see Console.add.
func (s *session) stats() router.ConnStats {
	st := router.ConnStats{
		Type: "C", User: s.login.User, Database: consoleName, Replication: "none", State: "idle",
		ConnectTime: s.started, RequestTime: time.UnixMicro(s.asked.Load()), ID: uint64(s.id),
	}
	if s.running.Load() != nil {
		st.State = "active"
	}
	for _, p := range s.login.Parameters {
		if p.Name == "application_name" {
			st.ApplicationName = p.Value
		}
	}
	st.Addr, st.Port = address(s.conn.RemoteAddr())
	st.LocalAddr, st.LocalPort = address(s.conn.LocalAddr())
	return st
}

func address(a net.Addr) (host string, port int) {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.IP.String(), tcp.Port
	}
	return a.Network(), 0
}
