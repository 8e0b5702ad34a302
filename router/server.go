package router

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"howdah/pool"
	"howdah/router/hba"
	"howdah/tenants"
	"howdah/wire"
)

// Config says how a Server treats clients.
type Config struct {
	Loops            int                 // event loops; 0 is one per CPU; fixed by New
	TLS              *tls.Config         // from wire.ServerTLS; nil refuses TLS
	RequireTLS       bool                // except on Unix sockets
	AuthType         string              // scram-sha-256, md5, cert, or trust, which holds on loopback and Unix sockets only
	LoginTimeout     time.Duration       // for TLS, startup and authentication; 0 is no limit
	MaxClientConn    int                 // of all tenants together; 0 is no limit
	MaxPacketSize    int                 // longest message from a client in bytes; 0 is PostgreSQL's own limit
	HBA              *hba.Rules          // in AuthType's place; nil = AuthType
	Maps             *hba.Maps           // of the rules
	ProxyFrom        []netip.Prefix      // addresses whose connections begin with a PROXY header; with any, trust holds on Unix sockets only
	LoginFailures    int                 // wrong passwords a minute from one address; 0 is no limit, and of the next two
	TenantFailures   int                 // the same for one database
	CancelFailures   int                 // wrong cancel keys a minute from one address
	KeepAlive        net.KeepAliveConfig // of connections to clients and to servers
	UserTimeout      time.Duration       // TCP_USER_TIMEOUT of the same; 0 is the system's
	TopStatements    int                 // shapes of slow statements kept for each tenant in use; 0 is none
	TopStatementTime time.Duration       // how long a statement takes that is slow

	// OpenKey opens what a managed user logs in to servers with, one of its ServerKeys. It is
	// asked for the same again and again; nil opens none.
	OpenKey func(sealed string) (wire.ScramKeys, error)

	Log *slog.Logger // nil logs nothing; fixed by New

	ListenKeep          []string // channels whose listening sessions stay when the connection that listens is lost
	FilterNotifications bool     // on the shared database: one that names a tenant's database is for that tenant's role only

	// Resolve looks up the addresses of a member's host name; nil is the system's way.
	Resolve func(ctx context.Context, host string) (addresses []string, err error)
}

// Handler serves the connections to a virtual database. The connection is
// authenticated and has been told so; the handler goes on from
// ParameterStatus, and closes it.
type Handler func(ctx context.Context, conn net.Conn, login VirtualLogin)

// VirtualLogin is who has connected to a virtual database.
type VirtualLogin struct {
	User, Database string
	Parameters     []wire.Parameter
	Key            wire.Key // to be shown to the client; cancels nothing
	Trusted        bool     // by the Unix socket's word: root, or who runs Howdah
	Address        string
}

var errShutdown = wire.Fatal(wire.CodeAdminShutdown, "terminating connection due to administrator command", "")

// Server accepts clients and carries them to their tenants' servers.
type Server struct {
	// static after New
	settings   atomic.Pointer[Config]
	registry   *tenants.Registry
	log        *slog.Logger
	workers    []*worker
	nodeSecret []byte
	virtual    map[string]*virtual
	started    time.Time
	ctx        context.Context
	stop       context.CancelFunc
	loops      sync.WaitGroup
	serving    sync.WaitGroup // calls of Serve
	logins     sync.WaitGroup

	consoleCancel func(wire.Key) bool // set by HandleCancel
	consoleKeys   atomic.Uint32
	databaseDoor  *DatabaseDoor // set by HandleDatabases; nil = nobody follows

	entering chan struct{} // one place for each connection that has not logged in yet
	accepted atomic.Uint64
	loggedIn atomic.Int64 // clients handed to workers and not closed yet
	starting atomic.Int64 // logins in progress

	replications replications
	cancels      cancels
	switches     switches
	vacancies    vacancies
	metered      logins
	lookups      lookups
	guard        guard
	automatic    automatic
	catalogs     sync.WaitGroup // being read
	usage        atomic.Pointer[usage]
	telling      sync.Mutex // one SetUsage at a time

	mu          sync.Mutex // guards what follows
	listeners   map[net.Listener]bool
	homes       map[tenantKey]*home
	crowds      []int // homes per worker
	members     map[string]*member
	watches     map[string]*watched // clusters with several members, by name
	databases   map[databaseKey]*database
	budgets     map[budgetKey]*clusterBudget
	users       map[string]*countedUser
	authorities map[string]string // contents of CA files, until the next Reload
	refusals    map[string]uint64
	draining    bool
}

// maxEntering bounds the connections that have not logged in yet. Beyond it
// new ones wait in the listener's backlog.
const maxEntering = 4096

// home is the worker on which a tenant lives while it has clients.
type home struct {
	tenant  string // its name when it moved in
	worker  *worker
	clients int
}

// member is a PostgreSQL process and how to reach it.
type member struct {
	pool.Member
	tlsMode wire.TLSMode
	tls     *tls.Config
}

// New returns a server whose loops run. It accepts nobody until Serve.
func New(cfg Config, registry *tenants.Registry) (*Server, error) {
	if cfg.Loops <= 0 {
		cfg.Loops = runtime.NumCPU()
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		registry: registry, entering: make(chan struct{}, maxEntering), log: cfg.Log, nodeSecret: make([]byte, 32),
		virtual: map[string]*virtual{}, started: time.Now(),
		listeners: map[net.Listener]bool{}, homes: map[tenantKey]*home{}, members: map[string]*member{}, watches: map[string]*watched{}, databases: map[databaseKey]*database{}, budgets: map[budgetKey]*clusterBudget{}, users: map[string]*countedUser{}, authorities: map[string]string{},
		refusals: map[string]uint64{}, switches: switches{known: registry.Snapshot()},
	}
	s.settings.Store(&cfg)
	rand.Read(s.nodeSecret)
	s.ctx, s.stop = context.WithCancel(context.Background())
	for i := range cfg.Loops {
		w, err := newWorker(s, i)
		if err != nil {
			return nil, err
		}
		s.workers = append(s.workers, w)
	}
	s.crowds = make([]int, len(s.workers))
	for _, w := range s.workers {
		s.loops.Go(w.loop.Run)
	}
	s.watchClusters(registry.Snapshot())
	return s, nil
}

func (s *Server) config() *Config { return s.settings.Load() }

// Configure changes how clients are treated from now on.
func (s *Server) Configure(cfg Config) { s.settings.Store(&cfg) }

// Handle has clients that name one of the databases served by h. The names are of
// one virtual database: a rule of an HBA file for one of them is for all. It must
// be called before Serve.
func (s *Server) Handle(h Handler, databases ...string) {
	for _, name := range databases {
		s.virtual[name] = &virtual{h, databases}
	}
}

// virtual is a database that Howdah itself is.
type virtual struct {
	serve Handler
	names []string
}

// HandleCancel has f asked about cancel requests for virtual databases: it
// reports whether the key is that of one of its connections.
func (s *Server) HandleCancel(f func(wire.Key) bool) { s.consoleCancel = f }

// Serve accepts clients from l until Shutdown or Close, which close l and let
// Serve return nil.
func (s *Server) Serve(l net.Listener) error {
	s.mu.Lock()
	if s.draining {
		s.mu.Unlock()
		l.Close()
		return nil
	}
	s.listeners[l] = true
	s.serving.Add(1)
	s.mu.Unlock()
	defer s.serving.Done()
	for {
		nc, err := l.Accept()
		if err == nil {
			s.accepted.Add(1)
			s.config().tune(nc)
			s.entering <- struct{}{}
			s.logins.Go(func() { s.serveConn(nc) })
			continue
		}
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		s.log.Error("cannot accept", "error", err) // out of descriptors, mostly: it passes
		select {
		case <-s.ctx.Done():
			return nil
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// admit counts a login in, unless there are too many clients.
func (s *Server) admit() error {
	s.starting.Add(1)
	max := s.config().MaxClientConn
	if max > 0 && s.loggedIn.Load()+s.starting.Load() > int64(max) {
		s.starting.Add(-1)
		return wire.Fatal(wire.CodeTooManyConnections, fmt.Sprintf("max_client_conn: there are %d clients already", max),
			"Close connections, or raise max_client_conn.")
	}
	return nil
}

func (s *Server) admitted() { s.starting.Add(-1) }

// workerFor returns the worker on which t lives, counting one client more. A
// tenant that has none yet goes to the worker with the fewest tenants.
func (s *Server) workerFor(t *tenants.Tenant) *worker {
	s.loggedIn.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	key := homeOf(t)
	h := s.homes[key]
	if h == nil {
		best := 0
		for i, n := range s.crowds {
			if n < s.crowds[best] {
				best = i
			}
		}
		s.crowds[best]++
		h = &home{tenant: t.Name, worker: s.workers[best]}
		s.homes[key] = h
	}
	h.clients++
	return h.worker
}

// homeOf names a tenant's home: one of the catalog keeps it when its name changes.
func homeOf(t *tenants.Tenant) tenantKey {
	if t.ID != "" {
		return tenantKey{name: t.ID}
	}
	return keyOf(t)
}

// moveOut forgets the home of a tenant that has nothing left there, unless a
// login is on its way.
func (s *Server) moveOut(key tenantKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h := s.homes[key]; h != nil && h.clients == 0 {
		s.crowds[h.worker.index]--
		delete(s.homes, key)
	}
}

// leaveWorker undoes workerFor. The tenant keeps its home while pools are there.
func (s *Server) leaveWorker(key tenantKey) {
	s.loggedIn.Add(-1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if h := s.homes[key]; h != nil {
		h.clients--
	}
}

// refused counts a login or session that was ended with an error.
func (s *Server) refused(code string) {
	s.mu.Lock()
	s.refusals[code]++
	s.mu.Unlock()
}

// memberOf returns the member of a cluster that runs its transactions, and whether
// they are held because there is no primary.
func (s *Server) memberOf(snapshot *tenants.Snapshot, cluster string) (m *member, held bool, err error) {
	c, ok := snapshot.Cluster(cluster)
	if !ok || len(c.Members)+len(c.Patroni) == 0 {
		return nil, false, wire.Fatal(wire.CodeInternalError, fmt.Sprintf("cluster %q has no member", cluster), "")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	address, held := s.primaryOf(c)
	m, err = s.memberAt(c, address)
	return m, held, err
}

// memberAt returns a cluster's member. s.mu is held.
func (s *Server) memberAt(c *tenants.Cluster, address string) (*member, error) {
	authorities, err := s.readAuthorities(c)
	if err != nil {
		return nil, err
	}
	key := address + "\x00" + c.TLSMode + "\x00" + authorities
	if m := s.members[key]; m != nil {
		return m, nil
	}
	m := &member{Member: pool.Member{Address: address}}
	if c.TLSMode != "" {
		mode, err := wire.ParseTLSMode(c.TLSMode)
		if err != nil {
			return nil, err
		}
		m.tlsMode = mode
	}
	if authorities != "" {
		m.tls = &tls.Config{RootCAs: x509.NewCertPool()}
		m.tls.RootCAs.AppendCertsFromPEM([]byte(authorities))
	}
	s.members[key] = m
	return m, nil
}

// readAuthorities returns the content of a cluster's CA file, read once between
// reloads. s.mu is held.
func (s *Server) readAuthorities(c *tenants.Cluster) (string, error) {
	if c.TLSCAFile == "" {
		return "", nil
	}
	if pem, ok := s.authorities[c.TLSCAFile]; ok {
		return pem, nil
	}
	pem, err := os.ReadFile(c.TLSCAFile)
	if err != nil {
		return "", fmt.Errorf("read CA of cluster %q: %w", c.Name, err)
	}
	s.authorities[c.TLSCAFile] = string(pem)
	return string(pem), nil
}

// virtual serves a connection to a virtual database.
func (l *login) virtual(ctx context.Context, h Handler) (bool, error) {
	trusted := peerTrusted(l.transport.Conn)
	if !trusted {
		if err := l.authenticate(l.server.registry.Snapshot()); err != nil {
			return false, err
		}
	} else {
		l.final = wire.AppendAuthentication(nil, wire.AuthOK, nil)
	}
	conn := l.accepted.Conn
	if l.proxied != nil {
		conn = proxiedConn{conn, l.proxied}
	}
	if _, err := conn.Write(l.final); err != nil {
		return false, err
	}
	l.server.admitted() // a session from here on
	if !l.past() {
		return false, errShutdown
	}
	defer l.server.starting.Add(1)
	key := wire.Key{PID: consolePID | l.server.consoleKeys.Add(1)&(consolePID-1), Secret: make([]byte, 4)}
	rand.Read(key.Secret)
	h(l.server.ctx, conn, VirtualLogin{
		User: l.user, Database: l.database, Parameters: l.accepted.Startup.Parameters,
		Key: key, Trusted: trusted, Address: l.about.address,
	})
	conn.Close()
	return true, nil
}
