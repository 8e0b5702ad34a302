package router

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"strconv"
	"strings"

	"howdah/tenants"
	"howdah/wire"
)

// rig runs sessions against model servers, event by event, in an order that a
// seed decides. It does what client.go does with the machine's verbs, without
// sockets, and watches what each client sees.
type rig struct {
	shared  shared
	clients []*rigClient
	servers []*rigServer
	free    []*rigServer
	waiting []*rigClient
	rand    *rand.Rand
	trace   []string
	limit   int
}

type rigServer struct {
	*model
	number  int
	backend *backend
	client  *rigClient
}

// rigClient sends its program and compares what it sees with what a server of
// its own would have answered.
type rigClient struct {
	session
	number  int
	rig     *rig
	program program
	sent    int
	server  *rigServer
	asking  bool // for a server
	stalled bool
	leaving bool
	gone    bool

	want  []string // what a server of its own answers
	ready []int    // how much of it has been flushed behind each message
	seen  []string
	told  []string // ParameterStatus seen since the last ReadyForQuery
}

// program is what a client does.
type program struct {
	startup map[string]string
	units   [][]request
	flees   bool // it leaves with the last message, whatever runs
	keeps   bool // its pool mode is session
	sets    bool // it changes DateStyle: what its statements were parsed under may change with the server
	blind   bool // cancel requests hit its COPY: nobody knows what it is to see
}

// request is a message; wait is what the client sees before it sends it.
type request struct {
	message []byte
	wait    bool
}

func (p *program) requests() (all []request) {
	for _, u := range p.units {
		all = append(all, u...)
	}
	return all
}

var modelBase = map[string]string{"DateStyle": "ISO", "TimeZone": "UTC", "application_name": "none"}

// failure is what the rig's checks panic with.
type failure string

func (r *rig) fail(format string, args ...any) { panic(failure(fmt.Sprintf(format, args...))) }

func (r *rig) log(format string, args ...any) {
	r.trace = append(r.trace, fmt.Sprintf(format, args...))
}

// runRig returns what went wrong, "" for nothing, and how it came to that.
func runRig(seed uint64, servers, limit int, programs []program) (wrong string, trace []string) {
	r := &rig{rand: rand.New(rand.NewPCG(seed, 1)), limit: limit}
	defer func() {
		if p := recover(); p != nil {
			f, ok := p.(failure)
			if !ok {
				f = failure(fmt.Sprintf("panic: %v\n%s", p, callers()))
			}
			wrong, trace = string(f), r.trace
		}
	}()
	for range servers {
		r.open()
	}
	for i, p := range programs {
		r.join(i, p)
	}
	for r.step() {
	}
	for _, c := range r.clients {
		if !c.gone {
			r.fail("client %d stands still: sent %d of %d, saw %d of %d, queue %d", c.number, c.sent, len(c.program.requests()), len(c.seen), len(c.want), c.queue.len())
		}
	}
	for _, s := range r.servers {
		s.backend.close(&r.shared.statements)
	}
	if n := len(r.shared.statements.known); n != 0 {
		r.fail("%d statements are kept for nobody", n)
	}
	return "", nil
}

func (r *rig) open() {
	s := &rigServer{model: newModel(modelBase), number: len(r.servers)}
	var list []wire.Parameter
	for name, value := range modelBase {
		list = append(list, wire.Parameter{Name: name, Value: value})
	}
	s.backend = newBackend(r.shared.vars.of(list))
	r.servers = append(r.servers, s)
	r.free = append(r.free, s)
}

// join logs a client in, and works out what it is to see.
func (r *rig) join(number int, p program) {
	c := &rigClient{rig: r, number: number, program: p}
	v := r.servers[0].backend.base
	own := newModel(modelBase)
	own.base = map[string]string{}
	for name, value := range modelBase {
		own.base[name] = value
	}
	for name, value := range p.startup {
		v = r.shared.vars.with(v, name, value)
		own.base[name], own.vars[name], own.reported[name] = value, value, value
	}
	c.session = session{mode: tenants.Transaction, status: wire.TxIdle, shared: &r.shared, limit: int32(r.limit)}
	c.session.vars, c.session.startup, c.session.base = v, v, r.servers[0].backend.base
	if p.keeps {
		c.session.mode = tenants.Session
	}
	var vars []string
	for _, q := range p.requests() {
		own.take(q.message)
		for _, line := range describe(serverNames, own.out) {
			c.want, vars = orderVars(c.want, vars, line)
		}
		own.out = nil
		c.ready = append(c.ready, len(c.want))
	}
	own.flush() // what waits for a Sync may come before it
	for _, line := range describe(serverNames, own.out) {
		c.want, vars = orderVars(c.want, vars, line)
	}
	r.clients = append(r.clients, c)
}

// orderVars adds a line to those a client saw. ParameterStatus goes to the
// next ReadyForQuery, and errors are as good as their codes.
func orderVars(seen, vars []string, line string) (s, v []string) {
	switch {
	case strings.HasPrefix(line, "ParameterStatus"):
		return seen, append(vars, line)
	case strings.HasPrefix(line, "ErrorResponse"):
		line = strings.Join(strings.Fields(line)[:2], " ")
	case strings.HasPrefix(line, "ReadyForQuery"):
		sort.Strings(vars)
		seen = append(seen, vars...)
		vars = nil
	}
	return append(seen, line), vars
}

// step lets one thing happen, and reports whether there was one.
func (r *rig) step() bool {
	var can []func()
	for _, c := range r.clients {
		if c.maySend() {
			can = append(can, c.send)
		}
	}
	for _, s := range r.servers {
		if len(s.out) > 0 {
			can = append(can, func() { r.deliver(s) })
		}
		if s.client != nil && s.client.program.blind && s.copying != 0 {
			can = append(can, func() { r.log("server %d is cancelled", s.number); s.failCopy("57014") })
		}
	}
	if len(can) == 0 {
		return false
	}
	can[r.rand.IntN(len(can))]()
	return true
}

func (c *rigClient) maySend() bool {
	if c.gone || c.leaving || c.asking || c.stalled {
		return false
	}
	all := c.program.requests()
	if c.program.blind {
		return true
	}
	if c.sent == len(all) {
		return c.program.flees || c.sent == 0 || len(c.seen) >= c.ready[c.sent-1]
	}
	return !all[c.sent].wait || c.sent == 0 || len(c.seen) >= c.ready[c.sent-1]
}

// send hands the next message to the machine, as client.step does.
func (c *rigClient) send() {
	all := c.program.requests()
	b := wire.AppendEmpty(nil, wire.Terminate)
	if c.sent < len(all) {
		b = all[c.sent].message
	}
	h, _, _ := wire.ParseHeader(b)
	v := c.fromClient(h, b)
	if v == verbAcquire {
		if len(c.rig.free) == 0 {
			c.rig.log("client %d waits", c.number)
			c.asking = true
			c.rig.waiting = append(c.rig.waiting, c)
			return
		}
		c.take()
		v = c.fromClient(h, b)
	}
	c.rig.log("client %d: %s", c.number, describe(clientNames, b)[0])
	up := c.drain()
	switch v {
	case verbForward:
		up = append(up, b...)
	case verbRewrite:
		up = append(up, b[c.rig.shared.used:]...)
	case verbDrop:
	case verbStall:
		c.rig.log("  stalls")
		c.stalled = true
		c.write(up)
		return
	case verbLeave:
		c.write(up)
		c.leave()
		return
	default:
		c.rig.fail("verb %d", v)
	}
	c.sent++
	c.write(up)
	c.tell()
	c.settleDown()
}

func (c *rigClient) drain() []byte {
	up := slices.Clone(c.rig.shared.toServer)
	c.rig.shared.toServer = c.rig.shared.toServer[:0]
	return up
}

func (c *rigClient) write(up []byte) {
	if len(up) == 0 {
		return
	}
	if c.server == nil {
		c.rig.fail("client %d writes without a server: %s", c.number, describe(clientNames, up))
	}
	c.rig.log("  to server %d: %s", c.server.number, strings.Join(describe(clientNames, up), ", "))
	c.server.model.take(up)
}

func (c *rigClient) take() {
	s := c.rig.free[0]
	c.rig.free = c.rig.free[1:]
	c.rig.log("client %d gets server %d", c.number, s.number)
	c.server, s.client = s, c
	c.assigned(s.backend)
}

func (c *rigClient) tell() {
	c.see(c.rig.shared.toClient)
	c.rig.shared.toClient = c.rig.shared.toClient[:0]
}

func (c *rigClient) see(b []byte) {
	for _, line := range describe(serverNames, b) {
		c.rig.log("  client %d sees %s", c.number, line)
		if c.leaving {
			continue
		}
		c.seen, c.told = orderVars(c.seen, c.told, line)
		n := len(c.seen)
		if c.program.blind {
			continue
		}
		if n > len(c.want) || !c.asGood(line, c.seen[n-1], c.want[n-1]) {
			c.rig.fail("client %d saw\n  %s\nand should have seen\n  %s", c.number,
				strings.Join(c.seen[max(0, n-5):], "\n  "), strings.Join(c.want[min(len(c.want), max(0, n-5)):min(len(c.want), n)], "\n  "))
		}
	}
}

// asGood reports whether a client may see got instead of want. We look for a
// taken name before PostgreSQL looks at the text, and quote the name.
func (c *rigClient) asGood(line, got, want string) bool {
	if c.program.sets {
		got, want = withoutStyle(got), withoutStyle(want)
	}
	switch got + ", " + want {
	case "ErrorResponse 42P05, ErrorResponse 42601", "ErrorResponse 25P02, ErrorResponse 42P05", "ErrorResponse 25P02, ErrorResponse 42601":
		return true
	}
	return got == want && !(strings.HasPrefix(got, "ErrorResponse") && strings.Contains(line, ownPrefix))
}

// withoutStyle takes the setting at Parse out of a row of the model's.
func withoutStyle(line string) string {
	parts := strings.Split(line, "|")
	if len(parts) > 3 {
		parts[2] = ""
	}
	return strings.Join(parts, "|")
}

// deliver hands one message of a server to the machine, as client.answers does.
func (r *rig) deliver(s *rigServer) {
	c := s.client
	h, _, _ := wire.ParseHeader(s.out)
	b := s.out[:h.Len]
	s.out = s.out[h.Len:]
	if c == nil {
		r.fail("server %d speaks to nobody: %s", s.number, describe(serverNames, b))
	}
	r.log("server %d (%d): %s", s.number, c.number, describe(serverNames, b)[0])
	forward, err := c.judge(h.Type, b[wire.HeaderLen:])
	if err != nil && c.program.blind {
		c.leaving = true // client.go ends a session that cannot be followed
		c.destroy()
		return
	}
	if err != nil {
		r.fail("server %d, client %d: %v: %s", s.number, c.number, err, describe(serverNames, b))
	}
	if forward {
		c.see(b)
	}
	c.tell()
	c.write(c.drain())
	if c.stalled {
		c.stalled = false
		if !c.leaving {
			c.send()
			return
		}
	}
	c.settleDown()
}

// judge reports whether the client gets an answer.
func (c *rigClient) judge(typ byte, body []byte) (bool, error) {
	if typ == wire.DataRow || typ == wire.CopyData {
		if c.queue.empty() {
			return false, errUnexpected
		}
		if c.looksAt() {
			c.lookRow(body)
		}
		return c.plain(), nil
	}
	v, err := c.fromServer(typ, body)
	return v == verbForward, err
}

// settleDown gives the server back, as client.maybeRelease does.
func (c *rigClient) settleDown() {
	s := c.server
	if s == nil {
		return
	}
	switch {
	case c.leaving:
		c.abandon()
	case !c.leaving && c.releasable():
		if c.unsure {
			c.destroy()
			return
		}
		c.rig.check(s, c)
		c.letGo()
		c.rig.release(s)
	}
}

func (c *rigClient) letGo() {
	c.server.client = nil
	c.server = nil
	c.released()
}

func (r *rig) release(s *rigServer) {
	if len(r.waiting) == 0 {
		r.free = append(r.free, s)
		return
	}
	r.free = append([]*rigServer{s}, r.free...)
	c := r.waiting[0]
	r.waiting = r.waiting[1:]
	c.asking = false
	c.take()
	c.send()
}

// leave is client.leave.
func (c *rigClient) leave() {
	c.leaving = true
	c.rig.log("client %d leaves", c.number)
	if c.server == nil {
		c.forget()
	} else {
		c.abandon()
	}
}

// abandon is what client.go does of the server of a client that has left.
func (c *rigClient) abandon() {
	switch {
	case c.copyIn || c.copyBoth || c.unfinished() || c.rollsBack():
		c.destroy()
	case c.endable():
		c.finish()
	}
}

func (c *rigClient) finish() {
	if c.status != wire.TxIdle || c.unsure || c.pins&pinLasting != 0 || c.done&leavesAny != 0 || c.pins != 0 || c.unseen() || c.program.keeps { // whose server would be reset
		c.destroy()
		return
	}
	s := c.server
	c.rig.check(s, c)
	c.letGo()
	c.forget()
	c.rig.release(s)
}

// destroy replaces the server.
func (c *rigClient) destroy() {
	s, r := c.server, c.rig
	c.rig.log("server %d is destroyed", s.number)
	c.letGo()
	if c.leaving {
		c.forget()
	}
	s.backend.close(&r.shared.statements)
	s.model = newModel(modelBase)
	s.backend = newBackend(s.backend.base)
	r.release(s)
}

func (c *rigClient) forget() {
	c.gone = true
	c.close()
}

// check looks whether a server that is given back is what the machine believes.
func (r *rig) check(s *rigServer, c *rigClient) {
	if !s.quiet() {
		r.fail("server %d is given back in state %c, implicit %v, skipping %v, copying %v, unsaid %s", s.number, s.status, s.implicit, s.skip, s.copying != 0, describe(serverNames, append(s.held, s.out...)))
	}
	if s.locked || s.temporary {
		r.fail("server %d is given back with an advisory lock (%v) or a temporary table (%v)", s.number, s.locked, s.temporary)
	}
	for st, p := range s.backend.known {
		if p.pending {
			r.fail("statement %s is pending on a server given back", p.name)
		}
		if got := s.prepared[p.name]; got.text != st.key.text {
			r.fail("server %d should have %q as %s, and has %q", s.number, st.key.text, p.name, got.text)
		}
	}
	own := map[string]uint64{
		setName: helperSet, commitName: helperCommit, pinsName: helperPins, readName: helperSetting, ranName: helperRan,
	}
	for n := range isolations * accesses * deferrings {
		own[beginName+strconv.Itoa(n)] = helperBegin << n
	}
	for name := range s.prepared {
		if bit := own[name]; bit != 0 {
			if s.backend.helpers&bit == 0 {
				r.fail("server %d has %s and nobody knows", s.number, name)
			}
			delete(own, name)
		} else if name != "" && name != resetName && name != againName && name != spareName && name != dropName && !s.knows(name) {
			r.fail("server %d has %s (%q) and nobody knows", s.number, name, s.prepared[name].text)
		}
	}
	for name, bit := range own {
		if s.backend.helpers&bit != 0 {
			r.fail("server %d should have %s", s.number, name)
		}
	}
	for _, name := range append([]string{"my.own"}, modelReported...) {
		believed, _ := s.backend.vars.value(name)
		if real := s.vars[name]; real != believed {
			r.fail("server %d has %s %q, believed to be %q", s.number, name, real, believed)
		}
	}
	if c.changes != 0 {
		r.fail("client %d has %d changes undecided", c.number, c.changes)
	}
}

func (s *rigServer) knows(name string) bool {
	for _, p := range s.backend.known {
		if p.name == name {
			return true
		}
	}
	return slices.ContainsFunc(s.backend.doubles, func(p *prepared) bool { return p.name == name })
}
