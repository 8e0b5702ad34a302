package router

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"howdah/router/classify"
	"howdah/tenants"
	"howdah/wire"
)

// With read_split = "auto" a statement that does not say anything, alone in its
// transaction, runs at a standby if PostgreSQL's parser and the database's catalog
// say that it only reads. What a text's shape means is found out behind its first
// run, and what the catalog holds behind each change that is seen: until then it is
// for the primary.

// automatic is what a server needs for that.
type automatic struct {
	once       sync.Once
	classifier *classify.Classifier

	mu      sync.Mutex                   // guards what follows
	shipped map[string]*classify.Catalog // by cluster
}

// start returns the classifier, which is made when the first tenant wants it.
func (a *automatic) start(log *slog.Logger) *classify.Classifier {
	a.once.Do(func() {
		a.classifier = classify.New(classify.Options{})
		if !classify.Parses {
			log.Warn("read_split = \"auto\" is as \"declared\": this program was built without a C compiler, and so without PostgreSQL's parser")
		}
	})
	return a.classifier
}

func (a *automatic) close() {
	a.once.Do(func() {})
	if a.classifier != nil {
		a.classifier.Close()
	}
}

// knowledge is what is known of a database's functions and relations.
type knowledge struct {
	changes atomic.Uint64 // that were seen
	read    atomic.Pointer[contents]
	busy    atomic.Bool
	next    atomic.Int64 // when it may be read again, in nanoseconds since 1970
}

// contents is a catalog as it was after so many changes.
type contents struct {
	catalog *classify.Catalog
	changes uint64
	at      time.Time
}

// Pauses between two readings of a catalog, which take PostgreSQL about a second.
const (
	catalogPause = 10 * time.Second
	catalogLasts = 10 * time.Minute // what changes it past Howdah is not seen
)

// catalog returns what the route's database has, nil where that must be read first.
func (r *route) catalog() *classify.Catalog {
	k := &r.database.Load().knowledge
	read := k.read.Load()
	if read != nil && read.changes == k.changes.Load() && time.Since(read.at) < catalogLasts {
		return read.catalog
	}
	if time.Now().UnixNano() < k.next.Load() || k.busy.Swap(true) {
		return nil
	}
	s := r.w.server
	key := r.databaseKey()
	cluster, ok := s.registry.Snapshot().Cluster(key.cluster)
	if !ok {
		k.busy.Store(false)
		return nil
	}
	address := r.member.Load().Address
	s.catalogs.Go(func() {
		defer k.busy.Store(false)
		k.next.Store(time.Now().Add(catalogPause).UnixNano())
		if err := s.readCatalog(k, cluster, address, key.database); err != nil && s.ctx.Err() == nil {
			s.log.Warn("cannot read what may run at a standby: all runs at the primary that does not say READ ONLY",
				"cluster", cluster.Name, "database", key.database, "error", err)
		}
	})
	return nil
}

// readCatalog reads a database's catalog, and its cluster's if that is not known yet.
func (s *Server) readCatalog(k *knowledge, cluster *tenants.Cluster, address, database string) error {
	ctx, cancel := context.WithTimeout(s.ctx, time.Minute)
	defer cancel()
	changes, at := k.changes.Load(), time.Now()
	conn, err := s.connectOwn(ctx, cluster, address, database)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	s.automatic.mu.Lock()
	shipped := s.automatic.shipped[cluster.Name]
	s.automatic.mu.Unlock()
	if shipped == nil {
		shipped = classify.NewCatalog(nil)
		if err := fillCatalog(ctx, conn, shipped, "true"); err != nil {
			return err
		}
		s.automatic.mu.Lock()
		if s.automatic.shipped == nil {
			s.automatic.shipped = map[string]*classify.Catalog{}
		}
		s.automatic.shipped[cluster.Name] = shipped
		s.automatic.mu.Unlock()
	}
	catalog := classify.NewCatalog(shipped)
	if err := fillCatalog(ctx, conn, catalog, "false"); err != nil {
		return err
	}
	k.read.Store(&contents{catalog, changes, at})
	return nil
}

func fillCatalog(ctx context.Context, conn *pgconn.PgConn, c *classify.Catalog, shipped string) error {
	r := conn.ExecParams(ctx, classify.CatalogQuery, [][]byte{[]byte(shipped), []byte(classify.PrimaryPattern())}, nil, nil, nil).Read()
	if r.Err != nil {
		return fmt.Errorf("read the catalog: %w", r.Err)
	}
	for _, row := range r.Rows {
		if len(row) != 3 || len(row[0]) != 1 {
			return errors.New("read the catalog: unexpected columns")
		}
		c.Add(classify.Kind(row[0][0]), string(row[1]), string(row[2]) == "t")
	}
	return nil
}

// onlyReads reports whether a transaction that begins with this message, whose
// statement is first, and does not say anything, is known to read only.
func (c *client) onlyReads(first []byte, h wire.Header, b []byte) bool {
	if c.route.reads.Split != tenants.SplitAuto || c.status != wire.TxIdle || c.deferred != 0 {
		return false
	}
	if !c.vars.readable && !ascii(first) || !opens(first, c.vars.conforming) {
		return false
	}
	if w := c.route.watch; !w.Delays() && w.Standby(max(c.lastWrite(), c.seen)) == nil {
		return false // whatever it is
	}
	text, ok := c.aloneInTransaction(h, b)
	if !ok {
		return false
	}
	shape, ok := appendSkeleton(c.w.skeleton[:0], text, c.vars.conforming)
	c.w.skeleton = shape[:0]
	return ok && c.w.server.automatic.start(c.w.log).Verdict(shape, c.route.catalog()) == classify.Safe
}

// aloneInTransaction returns the statement that is all of a transaction: of a Query, or
// of Parse, Bind, Describe, Execute and Sync that are all there.
func (s *session) aloneInTransaction(h wire.Header, b []byte) (text []byte, ok bool) {
	if h.Type == wire.Query {
		if len(b) < h.Len {
			return nil, false
		}
		return b[wire.HeaderLen : h.Len-1], true
	}
	var name []byte
	seen := ""
	for {
		h, ok, err := wire.ParseHeader(b)
		if err != nil || !ok || len(b) < h.Len {
			return nil, false
		}
		body := b[wire.HeaderLen:h.Len]
		switch h.Type {
		case wire.Parse:
			m, err := wire.ParseParse(body)
			if err != nil || seen != "" || ofUserTypes(m.ParamOIDs) {
				return nil, false
			}
			name, text = m.Name, m.Text
		case wire.Bind:
			m, err := wire.ParseBind(body)
			if err != nil || seen != "" && seen != "P" || seen == "P" && string(m.Statement) != string(name) {
				return nil, false
			}
			if seen == "" {
				st := s.meant(m.Statement)
				if st == nil || ofUserTypes([]byte(st.key.oids)) {
					return nil, false
				}
				text = s.textOf(st)
			}
		case wire.Execute:
			if seen != "B" && seen != "PB" {
				return nil, false
			}
		case wire.Describe:
			b = b[h.Len:]
			continue
		case wire.Sync:
			return text, seen == "BE" || seen == "PBE"
		default:
			return nil, false
		}
		seen += string(rune(h.Type))
		b = b[h.Len:]
	}
}

// ofUserTypes reports whether one of a Parse's types of parameters was made by a user:
// it may call a function of theirs.
func ofUserTypes(oids []byte) bool {
	for ; len(oids) >= 4; oids = oids[4:] {
		if binary.BigEndian.Uint32(oids) >= firstOID {
			return true
		}
	}
	return false
}
