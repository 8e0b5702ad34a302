package router

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"io"
	"net"
	"time"

	"howdah/tenants"
	"howdah/wire"
	"howdah/wire/loop"
)

// farewell is how long one side of a replication connection may take to go
// once the other has.
const farewell = time.Second

// replicationBuffer is how many bytes are on their way in each direction.
const replicationBuffer = 64 << 10

// live carries the connection's bytes until one side closes it, an operator
// does, Howdah shuts down, or the registry permits it no longer.
func (p *replication) live() {
	s, client, server := p.server, p.accepted.Conn, p.walsender.Conn
	changes, unwatch := s.registry.Watch()
	defer unwatch()
	ctx, kill := context.WithCancel(s.ctx)
	defer kill()
	if t := p.accepted.TLS; t != nil {
		p.about.tls = wire.TLSName(t.ConnectionState())
	}
	p.kill = kill
	s.replications.add(p)
	defer s.replications.remove(p)
	s.log.Info("replication begins", "kind", p.kind, "user", p.user, "address", p.about.address, "member", p.member.Address, "pid", p.walsender.Key.PID)
	var answers frames
	up, down := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(up)
		carry(server, client, nil)
		io.Copy(io.Discard, client) // unread bytes would have our Close destroy the server's last words
	}()
	go func() {
		defer close(down)
		if _, err := client.Write(p.welcome(&answers)); err != nil {
			answers.lose()
			return
		}
		carry(client, server, &answers)
	}()
	ended := p.wait(ctx, up, down, changes)
	limit := time.Now().Add(farewell)
	if ended {
		limit = time.Unix(1, 0)
	}
	client.SetDeadline(limit)
	server.SetDeadline(limit)
	<-up
	<-down
	if ended && answers.between() {
		client.SetDeadline(time.Now().Add(farewell))
		client.Write(wire.AppendError(nil, errShutdown))
	}
	s.log.Info("replication ended", "kind", p.kind, "user", p.user, "address", p.about.address, "by_us", ended)
}

// wait returns when a side has closed the connection, after telling the other
// side, or reports true when it is we who end it.
func (p *replication) wait(ctx context.Context, up, down <-chan struct{}, changes <-chan struct{}) (ended bool) {
	for p.stands(p.server.registry.Snapshot()) {
		select {
		case <-changes:
			continue
		case <-up:
			closeWrite(p.walsender.Conn)
		case <-down:
			closeWrite(p.accepted.Conn)
		case <-ctx.Done():
			return true
		}
		return false
	}
	return true
}

// stands reports whether the registry would still let the connection begin,
// and begin there.
func (p *replication) stands(snapshot *tenants.Snapshot) bool {
	now := replication{login: &login{server: p.server, user: p.user, database: p.database}, kind: p.kind}
	return now.aim(snapshot) == nil && now.member == p.member
}

// welcome returns what the client is told to end its login, and what the
// server has said behind that. The key leads to nothing: in this protocol there
// is no query to cancel, and tools end a stream by closing it.
func (p *replication) welcome(answers *frames) []byte {
	out := p.final
	for _, q := range p.walsender.Parameters {
		out = wire.AppendParameterStatus(out, q.Name, q.Value)
	}
	key := wire.Key{PID: consolePID | p.server.consoleKeys.Add(1)&(consolePID-1), Secret: make([]byte, keyLen(p.version))}
	rand.Read(key.Secret)
	out = wire.AppendBackendKeyData(out, key)
	out = wire.AppendReadyForQuery(out, wire.TxIdle)
	answers.pass(p.walsender.ReadAhead)
	return append(out, p.walsender.ReadAhead...)
}

// carry moves bytes until either side fails or src ends. A dst that takes
// nothing keeps it from reading.
func carry(dst, src net.Conn, answers *frames) {
	b := make([]byte, replicationBuffer)
	for {
		n, err := src.Read(b)
		if n > 0 {
			if _, err := dst.Write(b[:n]); err != nil {
				answers.lose()
				return
			}
			answers.pass(b[:n])
		}
		if err != nil {
			return
		}
	}
}

// closeWrite tells the other side that nothing more comes.
func closeWrite(c net.Conn) {
	if t, ok := c.(*tls.Conn); ok {
		t.CloseWrite()
		return
	}
	if t, ok := c.(*loop.Transport); ok {
		c = t.Conn
	}
	if h, ok := c.(interface{ CloseWrite() error }); ok {
		h.CloseWrite()
	}
}

// frames follows the messages in a stream, so that one of ours can be put
// between two of them. A nil *frames follows nothing.
type frames struct {
	head   [wire.HeaderLen]byte
	have   int  // bytes of the head
	rest   int  // bytes of the body still to come
	broken bool // nobody knows where the next message begins
}

// pass takes the stream's next bytes.
func (f *frames) pass(b []byte) {
	for f != nil && !f.broken && len(b) > 0 {
		if f.have < len(f.head) {
			n := copy(f.head[f.have:], b)
			f.have += n
			b = b[n:]
			if f.have < len(f.head) {
				return
			}
			h, _, err := wire.ParseHeader(f.head[:])
			if err != nil {
				f.broken = true
				return
			}
			f.rest = h.Len - len(f.head)
		}
		n := min(f.rest, len(b))
		f.rest -= n
		b = b[n:]
		if f.rest == 0 {
			f.have = 0
		}
	}
}

// lose says that bytes did not get through.
func (f *frames) lose() {
	if f != nil {
		f.broken = true
	}
}

// between reports whether the stream stands between two messages.
func (f *frames) between() bool { return !f.broken && f.have == 0 }
