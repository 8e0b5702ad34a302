package router

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"howdah/pool"
	"howdah/tenants"
	"howdah/wire"
	"howdah/wire/loop"
)

// listener is the connection on which a worker listens in one database for all
// its sessions: notifications are the database's, whoever listens. Who logs in
// on it is in listener_login.go. It closes with the last channel.
type listener struct {
	w     *worker
	key   databaseKey
	route *route // to open it with

	conn     *loop.Conn   // nil while there is none
	budget   *pool.Budget // that it has a seat of, beside the tenants'
	opening  bool
	parked   bool // it is not to be open, or open any longer: an operation holds the tenant
	channels map[string]map[*client]bool
	waiting  []func(error)    // for it to be open
	replies  []func(error)    // one for each ReadyForQuery to come
	failed   error            // of the command that runs
	refused  map[string]error // of the channels: the server would not listen
	partial  []byte
	failures int // to open, in a row
	retry    loop.Timer
	patience loop.Timer // for the oldest reply
}

// listenerPatience is how long the server may take for an answer.
const listenerPatience = 15 * time.Second

var (
	errSilent = errors.New("no answer")
	errMoved  = errors.New("the database is at another member now")
)

// maxNotes bounds the notifications that wait for one client, in bytes.
const maxNotes = 4 << 20

// listenerOf returns the listener for a client's database, made if need be.
func (w *worker) listenerOf(c *client) *listener {
	key := c.route.databaseKey()
	l := w.listeners[key]
	if l == nil {
		l = &listener{
			w: w, key: key, route: c.route, parked: w.server.switches.inOperation(c.route.tenant.name),
			channels: map[string]map[*client]bool{}, refused: map[string]error{},
		}
		w.listeners[key] = l
	}
	return l
}

// subscribe listens for a client, and calls done when the server has confirmed
// it, or refused one of the names.
func (l *listener) subscribe(c *client, names []string, done func(error)) {
	names = slices.Clone(names)
	for _, name := range names {
		clients := l.channels[name]
		if clients == nil {
			clients = map[*client]bool{}
			l.channels[name] = clients
			if l.conn != nil && !l.parked {
				l.command(name)
			}
		}
		clients[c] = true
	}
	l.sync(func(err error) {
		for _, name := range names {
			if err == nil {
				err = l.refused[name]
			}
		}
		done(err)
	})
}

// forget ends for a client what it could not subscribe.
func (l *listener) forget(c *client) {
	if c.listens == nil {
		l.unsubscribe(c)
	} else {
		l.unsubscribe(c, c.listens.on, c.listens.acked)
	}
}

// unsubscribe ends that for all of a client's channels but those to keep.
func (l *listener) unsubscribe(c *client, keep ...map[string]bool) {
	for name, clients := range l.channels {
		if !clients[c] || slices.ContainsFunc(keep, func(k map[string]bool) bool { return k[name] }) {
			continue
		}
		delete(clients, c)
		if len(clients) == 0 {
			delete(l.channels, name)
			delete(l.refused, name)
			if l.conn != nil {
				l.send(wire.AppendString(nil, wire.Query, "unlisten "+quoteName(name)), func(error) {})
			}
		}
	}
	if len(l.channels) == 0 {
		l.close()
	}
}

// close ends a listener that nobody needs.
func (l *listener) close() {
	if l.w.listeners[l.key] == l {
		delete(l.w.listeners, l.key)
	}
	l.w.loop.Disarm(&l.retry)
	l.w.loop.Disarm(&l.patience)
	if l.conn != nil {
		l.conn.Write(wire.AppendEmpty(nil, wire.Terminate))
		l.hangUp()
	}
	l.answerAll(nil)
}

// hangUp closes the connection, whose seat is free then.
func (l *listener) hangUp() {
	l.conn.Close()
	l.conn, l.partial = nil, nil
	l.budget.Give()
}

// sync calls done when everything that was sent in the database up to now has
// been delivered, or when there is a connection where there is none.
func (l *listener) sync(done func(error)) {
	if l.conn == nil || l.parked {
		l.waiting = append(l.waiting, done)
		l.open()
		return
	}
	l.send(wire.AppendEmpty(nil, wire.Sync), done)
}

func (l *listener) command(name string) {
	l.send(wire.AppendString(nil, wire.Query, "listen "+quoteName(name)), func(err error) {
		delete(l.refused, name)
		if err != nil && l.channels[name] != nil {
			l.refused[name] = err
		}
	})
}

func quoteName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func (l *listener) send(b []byte, done func(error)) {
	if len(l.replies) == 0 {
		l.beImpatient()
	}
	l.replies = append(l.replies, done)
	l.conn.Write(b)
}

// beImpatient gives the server time for its next answer.
func (l *listener) beImpatient() {
	l.w.loop.Arm(&l.patience, listenerPatience, func() { l.lost(errSilent) })
}

// open connects in a goroutine of its own.
func (l *listener) open() {
	if l.opening || l.parked || l.conn != nil || l.w.server.vacancies.has(l.key) { // occupy opens it
		return
	}
	l.opening = true
	l.w.loop.Disarm(&l.retry)
	r := l.route
	timeout := r.tenant.limits.ServerConnectTimeout
	if timeout == 0 {
		timeout = time.Minute
	}
	go func() {
		est, err := r.openListener(l.w.server.ctx, timeout)
		if !l.w.loop.Post(func() { l.opened(est, err) }) && err == nil {
			est.Conn.Close()
		}
	}()
}

func (l *listener) opened(est *wire.Established, err error) {
	l.opening = false
	if l.w.listeners[l.key] != l || l.parked || l.w.server.vacancies.has(l.key) {
		if err == nil {
			est.Conn.Close()
		}
		return
	}
	if err == nil {
		l.conn, _, err = pool.Adopt(l.w.loop, est, l, nil)
	}
	if err != nil {
		l.conn = nil
		l.w.log.Warn("cannot listen for notifications", "database", l.key.database, "error", err)
		l.openFailed(err)
		return
	}
	l.partial, l.failed = nil, nil
	l.budget = l.w.server.budgetOf(l.w.server.registry.Snapshot(), l.key.cluster, "")
	l.budget.Take()
	for _, text := range listenerSettings { // of the role, perhaps
		l.send(wire.AppendString(nil, wire.Query, text), func(error) {})
	}
	if slices.Contains(est.Parameters, wire.Parameter{Name: "server_encoding", Value: "SQL_ASCII"}) {
		l.send(wire.AppendString(nil, wire.Query, "set client_encoding = 'SQL_ASCII'"), func(error) {})
	}
	clear(l.refused)
	l.takeUp()
	if len(l.channels) > 0 {
		l.sync(l.takenUp)
	}
}

// takeUp listens for all channels, and has those told who waited for it.
func (l *listener) takeUp() {
	for name := range l.channels {
		l.command(name)
	}
	waiting := l.waiting
	l.waiting = nil
	for _, done := range waiting {
		l.sync(done)
	}
}

// takenUp ends the opening when those who waited for it have been told. If the
// server refuses channels of sessions that listened before, as a standby does
// until it is promoted, it is to be tried again: they would listen in vain.
func (l *listener) takenUp(error) {
	if l.conn == nil {
		return
	}
	for name, refusal := range l.refused {
		l.w.log.Warn("cannot listen for notifications", "database", l.key.database, "channel", name, "error", refusal)
		l.w.loop.Disarm(&l.patience)
		l.hangUp()
		l.openFailed(refusal)
		return
	}
	l.failures = 0
}

// listenerSettings are what a role's own settings may not change.
var listenerSettings = []string{"set idle_session_timeout = 0", "set statement_timeout = 0"}

// openFailed tells those who wait, and tries again for those who stay.
func (l *listener) openFailed(err error) {
	l.answerAll(err)
	if len(l.channels) == 0 {
		l.close()
		return
	}
	l.failures++
	for _, clients := range l.channels {
		for c := range clients {
			l.route = c.route // another's secret may be newer
		}
	}
	l.w.loop.Arm(&l.retry, min(time.Duration(l.failures)*200*time.Millisecond, 5*time.Second), l.open)
}

func (l *listener) answerAll(err error) {
	replies := append(l.replies, l.waiting...)
	l.replies, l.waiting = nil, nil
	for _, done := range replies {
		done(err)
	}
}

// Drained implements loop.Handler.
func (l *listener) Drained(*loop.Conn) {}

// Readable implements loop.Handler.
func (l *listener) Readable(conn *loop.Conn) {
	buf := l.w.loop.Buffer()
	n, err := conn.Read(buf)
	if err == loop.ErrWouldBlock {
		return
	}
	if err != nil || conn != l.conn {
		l.lost(err)
		return
	}
	data := append(l.partial, buf[:n]...)
	for l.conn == conn {
		h, ok, err := wire.ParseHeader(data)
		if err != nil {
			l.lost(err)
			return
		}
		if !ok || len(data) < h.Len {
			break
		}
		l.message(h.Type, data[wire.HeaderLen:h.Len])
		data = data[h.Len:]
	}
	l.partial = append([]byte(nil), data...)
}

func (l *listener) message(typ byte, body []byte) {
	switch typ {
	case wire.NotificationResponse:
		if n, err := wire.ParseNotification(body); err == nil {
			l.route.written() // and who listens may look, before the writer's own answer is read
			l.deliver(n)
		}
	case wire.ErrorResponse:
		e, err := wire.ParseError(body)
		if err != nil {
			l.failed = err
			return
		}
		l.failed = e
	case wire.ReadyForQuery:
		if len(l.replies) > 0 {
			done, err := l.replies[0], l.failed
			l.replies, l.failed = l.replies[1:], nil
			if len(l.replies) == 0 {
				l.w.loop.Disarm(&l.patience)
			} else {
				l.beImpatient()
			}
			done(err)
		}
	}
}

// deliver gives a notification to all who listen, on the shared database only
// to the tenant that it names.
func (l *listener) deliver(n wire.Notification) {
	clients := l.channels[string(n.Channel)]
	if len(clients) == 0 {
		return
	}
	owner := ""
	if l.key.database == tenants.Shared && l.w.server.config().FilterNotifications {
		owner = l.w.server.ownerNamed(string(n.Payload))
	}
	for c := range clients {
		if owner == "" || owner == c.route.key.user {
			c.notify(n)
		}
	}
}

// ownerNamed returns the role of the tenant whose database begins a payload of
// Odoo's, "" where it names none: the whole payload of cron_trigger, the first
// string of the JSON array of imbus.
func (s *Server) ownerNamed(payload string) string {
	name := strings.TrimSpace(payload)
	if rest, ok := strings.CutPrefix(name, `[["`); ok {
		name, _, _ = strings.Cut(rest, `"`)
	}
	if t, ok := s.registry.Snapshot().Lookup(name, ""); ok && name != tenants.Shared {
		return t.User
	}
	return ""
}

// lost ends what the connection's end ends: sessions that listen for channels
// that are not to be kept over a loss are closed, because they would rely on
// having missed nothing. What others wait to subscribe fails.
func (l *listener) lost(err error) {
	if l.conn == nil {
		return
	}
	l.w.loop.Disarm(&l.patience)
	l.hangUp()
	l.w.log.Warn("the connection that listens for notifications was lost", "database", l.key.database, "error", err)
	keep := l.w.server.config().ListenKeep
	gone := map[*client]bool{}
	for name, clients := range l.channels {
		for c := range clients {
			if !slices.Contains(keep, name) && c.listens != nil && (c.listens.on[name] || c.listens.acked[name]) {
				gone[c] = true
			}
		}
	}
	for c := range gone {
		c.refuseWith(wire.Fatal(wire.CodeConnectionFailure, "the connection that listens for notifications was lost",
			"Connect and LISTEN again, and read what you may have missed. listen_keep names channels whose sessions stay."))
	}
	l.answerAll(fmt.Errorf("the connection for it was lost: %w", err))
	if len(l.channels) > 0 {
		l.open()
	} else {
		l.close()
	}
}
