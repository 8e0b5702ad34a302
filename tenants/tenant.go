package tenants

import (
	"fmt"
	"strings"
	"time"
)

// PoolMode says when a server may be given to another client.
type PoolMode uint8

// The pool modes, in PgBouncer's words.
const (
	Transaction PoolMode = iota // after each transaction
	Session                     // when the client leaves
	Statement                   // after each statement; transactions of more are refused
)

// String returns the mode as it is written in the configuration.
func (m PoolMode) String() string {
	switch m {
	case Transaction:
		return "transaction"
	case Session:
		return "session"
	case Statement:
		return "statement"
	}
	return fmt.Sprintf("PoolMode(%d)", uint8(m))
}

// ParsePoolMode reads what String writes.
func ParsePoolMode(s string) (PoolMode, error) {
	for m := Transaction; m <= Statement; m++ {
		if s == m.String() {
			return m, nil
		}
	}
	return 0, fmt.Errorf("parse pool mode %q: not transaction, session or statement", s)
}

// State says whether a tenant takes clients.
type State uint8

// The states of a tenant.
const (
	Active    State = iota
	Suspended       // keeps its data; new clients are refused
)

// String returns the state as it is written in the configuration.
func (s State) String() string {
	if s == Suspended {
		return "suspended"
	}
	return "active"
}

// ParseState reads what String writes.
func ParseState(s string) (State, error) {
	switch s {
	case "active":
		return Active, nil
	case "suspended":
		return Suspended, nil
	}
	return 0, fmt.Errorf("parse state %q: not active or suspended", s)
}

// Limits are the settings a tenant, its tier or the defaults may give. In a
// Tenant they are resolved: its own over its tier's over the defaults.
type Limits struct {
	PoolMode PoolMode

	// Servers per (member, database, user).
	PoolSize           int
	MinPoolSize        int           // kept open even when idle
	ReservePoolSize    int           // on top of PoolSize for clients that waited long
	ReservePoolTimeout time.Duration // how long is long; 0 = the reserve is never used

	// Servers over several pools. 0 = no limit.
	MaxDBConnections   int // of the tenant, whatever the user
	MaxUserConnections int // of each user, over all tenants

	// Of clients. 0 = no limit.
	MaxClientConn     int // of the tenant
	MaxUserClientConn int // of each user, over all tenants
	MaxWaitingClients int // of the tenant, that wait for a server or for MaxQueriesPerSecond

	// Of the tenant, on average, with bursts of one second's worth. 0 = no limit.
	MaxQueriesPerSecond int
	MaxLoginsPerSecond  int
	MaxBytesPerSecond   int64 // of the protocol, to clients

	Quota int64 // bytes that the tenant's database may have; 0 = no limit

	// Of waiting for and keeping servers. 0 = off.
	QueryWaitTimeout     time.Duration
	ServerLifetime       time.Duration
	ServerIdleTimeout    time.Duration
	ServerConnectTimeout time.Duration
	ServerLoginRetry     time.Duration // the longest pause between failing connects; 0 = 15 s
	ServerCheckDelay     time.Duration // a server idle for longer is checked before use
	ServerCheckQuery     string        // "" = no check

	// Of clients. 0 = off.
	QueryTimeout           time.Duration
	TransactionTimeout     time.Duration // of a whole transaction, waits between its statements included
	IdleTransactionTimeout time.Duration
	ClientIdleTimeout      time.Duration
	SequencePinTimeout     time.Duration // how long a server waits for its idle client to ask for a sequence's value

	MaxPreparedStatements int // kept per server; at least 1

	MaxClientPreparedStatements int // of one client; 0 = no limit
	Weight                      int // share of a busy cluster, relative to others; at least 1
}

// Tenant is one customer: a database on a cluster and what it may use.
type Tenant struct {
	ID       string // a UUID, which stays when names change; "" for a tenant of the file
	Name     string // what clients connect to as database; "*" is the fallback
	Cluster  string
	Database string // the database on the cluster
	User     string // the role that owns the database
	Tier     string // "" = none
	State    State
	Limits   Limits
	Reads    Reads
	Role     RoleSettings
	Backup   BackupPolicy
	Loops    int // event loops the tenant is spread over; at least 1

	QuotaRules QuotaRules
}

// DefaultStore is the name of the store of clusters that name no other: that of [backup].
const DefaultStore = "default"

// Cluster is a PostgreSQL primary with its standbys.
type Cluster struct {
	Name            string
	Members         []Member      // none with Patroni
	Patroni         []string      // URLs of Patroni's REST APIs, which name the members
	PatroniCAFile   string        // authorities of those; "" = the system's
	AdminURL        string        // superuser connection for provisioning; "" = none
	ReplicationURL  string        // for WAL and base backups; "" = none
	BaseURL         string        // of a standby of which base backups are taken; "" = ReplicationURL
	Store           string        // the name of that in which it is backed up; "" = DefaultStore
	OSUser          string        // that its servers on this machine run as; "" = none
	Budget          int           // server connections the cluster may hold; 0 = no limit
	BudgetReserve   int           // of those, for processes that hold one and want one more; -1 = a twentieth, at least 2 of 10
	SeatQuantum     time.Duration // a seat stays with a busy tenant for at least so long; 0 = 500 ms
	MaxLag          time.Duration // a standby that is behind for longer serves no reads; 0 = no limit
	MaxLagBytes     int64         // nor does one that has so much of the WAL not replayed; 0 = no limit
	MinStandbys     int           // with fewer that can serve reads the primary takes its part
	MaxPrimaryReads int           // that the primary runs at once and a standby could have; 0 = no limit
	Writers         string        // HowdahWriters or ExternalWriters
	TLSMode         string        // disable, prefer, require, verify-ca or verify-full
	TLSCAFile       string        // "" = the system's authorities

	// Of new tenants.
	Placement  string // SharedPlacement, SegmentedPlacement or DedicatedPlacement
	MaxTenants int    // that it takes; 0 = no limit
	DiskSize   int64  // bytes it has for its databases; 0 = not known
	Warm       int    // databases kept ready

	// Of looking up the secrets of users that are no User of the registry.
	AuthUser     string // who asks; "" = nobody
	AuthQuery    string // $1 is the user; gives the name and the secret
	AuthDatabase string // where
}

// Member is one PostgreSQL process of a cluster.
type Member struct {
	Address string // "host:port" or a socket's path, "/dir/.s.PGSQL.5432"
}

// Network returns what net.Dial wants beside the address: "unix" or "tcp".
func (m Member) Network() string {
	if strings.HasPrefix(m.Address, "/") {
		return "unix"
	}
	return "tcp"
}

// User is a role that may log in through Howdah.
type User struct {
	ID       string // as Tenant's
	Name     string
	Verifier string // as in pg_authid, see CheckVerifier; "" = cannot log in by password

	// OldVerifiers are of passwords that go on for a while beside a new one, see
	// Verifiers: "<RFC 3339 time> <verifier>". Each has Verifier's salt and iterations.
	OldVerifiers []string

	// ServerKeys log it in to servers: keys that Howdah made itself, sealed with the
	// nodes' master key, of which a server takes one. None: what its login here shows.
	ServerKeys []string

	// ServerSecret logs it in to servers when its login here showed none: a
	// password, or its md5 form. "" = none.
	ServerSecret     string
	ServerSecretFile string // where it stands

	// Cluster is where it has the database postgres while it is no tenant's User, with
	// the limits of Home; "" = nowhere.
	Cluster string
	Tier    string
	Home    *Tenant // made of those by the source; nil = none

	// Replication lets it open replication connections, as far as PostgreSQL
	// does too. A physical one copies every tenant of its cluster.
	Replication bool

	Limits UserLimits
}

// UserLimits are what a user may have of its own. They go before the tenant's;
// nil is the tenant's.
type UserLimits struct {
	MaxUserConnections *int
	MaxUserClientConn  *int

	// Of the user in each tenant.
	MaxWaitingClients   *int
	MaxQueriesPerSecond *int
	MaxLoginsPerSecond  *int
	MaxBytesPerSecond   *int64

	QueryWaitTimeout       *time.Duration
	QueryTimeout           *time.Duration
	TransactionTimeout     *time.Duration
	IdleTransactionTimeout *time.Duration
	ClientIdleTimeout      *time.Duration
}

// Over returns l with the user's own limits in it.
func (u *UserLimits) Over(l Limits) Limits {
	override(&l.MaxUserConnections, u.MaxUserConnections)
	override(&l.MaxUserClientConn, u.MaxUserClientConn)
	override(&l.MaxWaitingClients, u.MaxWaitingClients)
	override(&l.MaxQueriesPerSecond, u.MaxQueriesPerSecond)
	override(&l.MaxLoginsPerSecond, u.MaxLoginsPerSecond)
	override(&l.MaxBytesPerSecond, u.MaxBytesPerSecond)
	override(&l.QueryWaitTimeout, u.QueryWaitTimeout)
	override(&l.QueryTimeout, u.QueryTimeout)
	override(&l.TransactionTimeout, u.TransactionTimeout)
	override(&l.IdleTransactionTimeout, u.IdleTransactionTimeout)
	override(&l.ClientIdleTimeout, u.ClientIdleTimeout)
	return l
}

func override[T any](limit, own *T) {
	if own != nil {
		*limit = *own
	}
}

// Tier is a service class: limits and promises under a name, resolved against the
// defaults.
type Tier struct {
	Name      string
	Placement string // SharedPlacement, SegmentedPlacement or DedicatedPlacement
	Limits    Limits
	Reads     Reads
	Role      RoleSettings
	Backup    BackupPolicy
	Base      BasePolicy // of a tier alone
	Loops     int

	QuotaRules QuotaRules
}
