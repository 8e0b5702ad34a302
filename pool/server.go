package pool

import (
	"time"

	"howdah/wire"
	"howdah/wire/loop"
)

// State is where a server is in its life.
type State uint8

// The states of a server.
const (
	Login   State = iota // being dialled and logged in
	Idle                 // waits for a client
	Tested               // proves that it still answers
	Active               // held by a client
	Closing              // told to go, its backend may still exist
	states
)

// String returns the state's name as SHOW SERVERS prints it.
func (s State) String() string {
	return [...]string{"login", "idle", "tested", "active", "being_closed"}[s]
}

// Server is one connection to PostgreSQL. While a client holds it, Conn and
// Data are the client's; at other times they are the pool's.
type Server struct {
	Conn       *loop.Conn
	Key        wire.Key         // for cancel requests
	Parameters []wire.Parameter // reported at login
	TLS        string           // version and cipher, empty for plaintext
	LocalAddr  string
	Member     *Member // where it is
	Data       any     // what the observer remembers of the backend's session

	pool       *Pool
	state      State
	generation uint64
	born       time.Duration // loop time
	since      time.Duration // loop time of the last release
	opened     time.Time
	next, prev *Server  // in the idle list
	process    *Process // that holds it
	vacated    bool     // its seat is another's when its backend has gone
	nextSeat   *Server  // in the loop's list of idle servers of a budget
	prevSeat   *Server
	nextAll    *Server // in the list of all
	prevAll    *Server
	timer      loop.Timer
	again      loop.Timer // of the next cancel request, while it closes
	partial    []byte     // incomplete message, while the pool reads
}

// Pool returns the pool that s belongs to.
func (s *Server) Pool() *Pool { return s.pool }

// State returns where s is in its life.
func (s *Server) State() State { return s.state }

// Opened returns when the login was done.
func (s *Server) Opened() time.Time { return s.opened }

// Stale reports whether the pool will close s when it is released.
func (s *Server) Stale() bool { return s.pool.unwanted(s) != "" }

// Readable implements loop.Handler for servers that no client holds.
func (s *Server) Readable(c *loop.Conn) {
	buf := c.Loop().Buffer()
	n, err := c.Read(buf)
	if err == loop.ErrWouldBlock {
		return
	}
	if err != nil {
		s.pool.Gone(s, "closed by PostgreSQL")
		return
	}
	if s.state == Closing {
		return // whatever it still says
	}
	data := buf[:n]
	if len(s.partial) > 0 {
		s.partial = append(s.partial, data...)
		data = s.partial
	}
	rest := s.consume(data)
	if s.state != Idle && s.state != Tested {
		return
	}
	if len(rest) == 0 {
		s.partial = nil
	} else {
		s.partial = append([]byte(nil), rest...)
	}
}

// Drained implements loop.Handler.
func (s *Server) Drained(*loop.Conn) {}

// maxIdleMessage bounds what the pool itself reads from a server in one
// message.
const maxIdleMessage = 64 << 10

// consume handles the whole messages at the start of b while nobody holds s,
// and returns what is left.
func (s *Server) consume(b []byte) []byte {
	for {
		h, ok, err := wire.ParseHeader(b)
		if err != nil || ok && h.Len > maxIdleMessage {
			s.pool.Destroy(s, "protocol violation while idle", false)
			return nil
		}
		if !ok || len(b) < h.Len {
			return b
		}
		if s.state == Tested && h.Type == wire.ReadyForQuery && len(b) > h.Len {
			s.pool.Destroy(s, "bytes behind the check query's answer", false) // they would reach a client
			return nil
		}
		if !s.message(h.Type, b[wire.HeaderLen:h.Len]) {
			return nil
		}
		b = b[h.Len:]
	}
}

// message handles one message and reports whether s still is the pool's to
// read.
func (s *Server) message(typ byte, body []byte) bool {
	switch typ {
	case wire.ParameterStatus:
		if name, value, err := wire.ParseParameterStatus(body); err == nil {
			s.pool.observer.Reported(s, name, value)
		}
		return true
	case wire.NoticeResponse, wire.NotificationResponse:
		return true // never reaches a client
	case wire.ErrorResponse:
		s.pool.Destroy(s, "error while idle", false)
		return false
	}
	if s.state == Tested {
		return s.pool.checkMessage(s, typ, body)
	}
	s.pool.Destroy(s, "unexpected message while idle", false)
	return false
}

// list is an intrusive list of servers with its head inside.
type list struct {
	head Server
	len  int
}

func (l *list) init() {
	l.head.next, l.head.prev = &l.head, &l.head
	l.head.nextAll, l.head.prevAll = &l.head, &l.head
	l.head.nextSeat, l.head.prevSeat = &l.head, &l.head
}

func (l *list) first() *Server {
	if l.head.next == &l.head {
		return nil
	}
	return l.head.next
}

func (l *list) last() *Server {
	if l.head.prev == &l.head {
		return nil
	}
	return l.head.prev
}

func (l *list) pushFront(s *Server) {
	s.prev, s.next = &l.head, l.head.next
	l.head.next.prev, l.head.next = s, s
	l.len++
}

func (l *list) remove(s *Server) {
	if s.next == nil {
		return
	}
	s.prev.next, s.next.prev = s.next, s.prev
	s.next, s.prev = nil, nil
	l.len--
}

func (l *list) addAll(s *Server) {
	s.prevAll, s.nextAll = l.head.prevAll, &l.head
	l.head.prevAll.nextAll, l.head.prevAll = s, s
}

func (l *list) removeAll(s *Server) {
	if s.nextAll == nil {
		return
	}
	s.prevAll.nextAll, s.nextAll.prevAll = s.nextAll, s.prevAll
	s.nextAll, s.prevAll = nil, nil
}

func (l *list) addSeat(s *Server) {
	s.prevSeat, s.nextSeat = &l.head, l.head.nextSeat
	l.head.nextSeat.prevSeat, l.head.nextSeat = s, s
}

func (l *list) removeSeat(s *Server) {
	if s.nextSeat == nil {
		return
	}
	s.prevSeat.nextSeat, s.nextSeat.prevSeat = s.nextSeat, s.prevSeat
	s.nextSeat, s.prevSeat = nil, nil
}

func (l *list) oldestSeat() *Server { return l.newerSeat(&l.head) }

// newerSeat returns the server that has idled for less time than s, nil for
// none.
func (l *list) newerSeat(s *Server) *Server {
	if s.prevSeat == &l.head {
		return nil
	}
	return s.prevSeat
}
