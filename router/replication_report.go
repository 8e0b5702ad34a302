package router

import (
	"cmp"
	"crypto/tls"
	"slices"
	"sync"

	"howdah/wire"
)

// replicationID marks the identities of replication connections, so that they
// are nobody else's.
const replicationID = 1 << 61

// replications are the replication connections of a Server, oldest first.
type replications struct {
	mu   sync.Mutex
	last uint64
	all  []*replication
}

func (r *replications) add(p *replication) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last++
	p.id = r.last | replicationID
	r.all = append(r.all, p)
}

func (r *replications) remove(p *replication) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = slices.DeleteFunc(r.all, func(q *replication) bool { return q == p })
}

// kill ends the connection with this ID, and reports whether there is one.
func (r *replications) kill(id uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.all {
		if p.id == id {
			p.kill()
			return true
		}
	}
	return false
}

// killDatabase ends the connections of a tenant, or with "" all.
func (r *replications) killDatabase(database string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.all {
		if database == "" || p.tenant != nil && p.tenant.Name == database {
			p.kill()
		}
	}
}

func (r *replications) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.all)
}

// rows describes all with f.
func (r *replications) rows(f func(*replication) ConnStats) (rows []ConnStats) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.all {
		rows = append(rows, f(p))
	}
	return rows
}

func (p *replication) clientStats() ConnStats {
	row := p.stats("C", p.id, p.id|1<<62)
	row.Addr, row.Port = split(p.about.address)
	row.LocalAddr, row.LocalPort = split(p.about.local)
	row.TLS = p.about.tls
	return row
}

func (p *replication) serverStats() ConnStats {
	row := p.stats("S", p.id|1<<62, p.id)
	row.Addr, row.Port = split(p.member.Address)
	row.LocalAddr, row.LocalPort = split(p.walsender.Conn.LocalAddr().String())
	if t, ok := p.walsender.Conn.(*tls.Conn); ok {
		row.TLS = wire.TLSName(t.ConnectionState())
	}
	return row
}

// stats is what both sides have in common.
func (p *replication) stats(side string, id, link uint64) ConnStats {
	row := ConnStats{
		Type: side, User: p.user, Database: p.database, Replication: p.kind, State: "active",
		ConnectTime: p.about.connectTime(), RequestTime: p.about.connectTime(), ID: id, Link: link,
		RemotePID: int(p.walsender.Key.PID),
	}
	if p.tenant != nil {
		row.Database = cmp.Or(p.tenant.Name, row.Database)
	}
	for _, q := range settings(p.accepted.Startup.Parameters) {
		if q.Name == "application_name" {
			row.ApplicationName = q.Value
		}
	}
	return row
}
