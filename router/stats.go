package router

import "time"

// Counters add up what clients did, since the start. Times are in
// microseconds, bytes are those of the protocol, not of TLS.
type Counters struct {
	Assignments  uint64 // servers given to clients
	Transactions uint64
	Queries      uint64
	Received     uint64 // bytes from clients
	Sent         uint64 // bytes to clients
	TxTime       uint64 // servers were held for transactions
	QueryTime    uint64 // servers worked
	WaitTime     uint64 // clients waited for a server
	ClientParses uint64 // prepared statements that clients made
	ServerParses uint64 // of those, how many had to be parsed by a server
	Binds        uint64
}

// Add adds o to c.
func (c *Counters) Add(o *Counters) {
	c.Assignments += o.Assignments
	c.Transactions += o.Transactions
	c.Queries += o.Queries
	c.Received += o.Received
	c.Sent += o.Sent
	c.TxTime += o.TxTime
	c.QueryTime += o.QueryTime
	c.WaitTime += o.WaitTime
	c.ClientParses += o.ClientParses
	c.ServerParses += o.ServerParses
	c.Binds += o.Binds
}

// PoolStats is the state of one pool: what SHOW POOLS tells of a database and
// user.
type PoolStats struct {
	Database, User string // as the client named them
	Mode           string // pool mode: transaction, session, statement

	ClientsActive, ClientsWaiting, ClientsIdle      int
	ServersActive, ServersIdle, ServersUsed         int
	ServersTested, ServersLogin, ServersBeingClosed int
	ClientsCanceling                                int // cancel requests on their way, each on a connection to the server of its own
	ServersCanceling                                int // not active: they wait for the end of such a request
	MaxWait                                         time.Duration
	Counters                                        Counters
	Ended                                           map[string]uint64 // servers closed, by reason
	Pinned                                          map[string]int    // servers that clients keep between transactions, by reason
}

// DatabaseStats is one database that clients may name: SHOW DATABASES.
type DatabaseStats struct {
	Name                                     string
	Host                                     string // of the member where its transactions run
	Port                                     int
	Database, ForceUser, Mode                string
	PoolSize, MinPoolSize, ReservePoolSize   int
	ServerLifetime                           time.Duration
	MaxConnections, CurrentConnections       int
	MaxClientConnections, CurrentClientConns int
	Paused, Disabled                         bool // by its name
}

// ConnStats is one client or server connection: SHOW CLIENTS, SHOW SERVERS.
type ConnStats struct {
	Type                string // C or S
	User, Database      string
	Replication         string // none, logical, physical
	State               string
	Addr, LocalAddr     string
	Port, LocalPort     int
	ConnectTime         time.Time
	RequestTime         time.Time     // of the last request
	Wait                time.Duration // how long the client waits by now
	CloseNeeded         bool
	ID                  uint64
	Link                uint64 // ID of the other side, 0 while there is none
	RemotePID           int    // of the server process
	TLS                 string // version and cipher, empty for plaintext
	ApplicationName     string
	PreparedStatements  int
	Received, Processed int
	Pins                []string      // of a client: why it keeps its server between transactions
	PinnedFor           time.Duration // since the first of them
	FD                  int           // file descriptor, 0 if it is not a loop's

	// Settings, as far as they are known.
	ClientEncoding, StandardStrings, DateStyle, TimeZone string
}

// Stats is a snapshot of a Server: one row per (database, user) in Pools, summed
// over its loops.
type Stats struct {
	Started    time.Time
	Loops      int
	Pools      []PoolStats
	Clients    int // connections, logins in progress included
	Logins     int // of these, how many are logging in
	Servers    int
	Refused    map[string]uint64 // logins and sessions ended by Howdah, by SQLSTATE
	Accepted   uint64
	Paused     bool // all databases together
	Suspended  bool
	ShutDown   bool
	LoopsStats []LoopStats
}

// LoopStats counts what one event loop does.
type LoopStats struct {
	Conns int
	Turns uint64
	Waits uint64
}
