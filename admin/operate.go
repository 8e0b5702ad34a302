package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"howdah/admin/fleet"
	"howdah/tenants/catalog"
	"howdah/wire"
)

// SQLSTATEs of operations that cannot be begun, as PostgreSQL has them for databases.
const (
	codeObjectInUse     = "55006"
	codeUndefinedObject = "42704"
	codeDuplicateObject = "42710"
)

// operations returns the statements that change tenants, and what they stand on.
func operations() []Command {
	all := append(tenantOperations(), entryOperations(catalog.Cluster)...)
	all = append(all, entryOperations(catalog.Tier)...)
	all = append(all, tokenOperations()...)
	return append(all,
		Command{Name: "CANCEL JOB", Usage: "CANCEL JOB 'id'", operate: steer((*fleet.Fleet).CancelOperation)},
		Command{Name: "RESUME JOB", Usage: "RESUME JOB 'id'", operate: steer((*fleet.Fleet).ResumeOperation)},
		Command{Name: "END REVIEW", Usage: "END REVIEW", operate: endReview},
	)
}

func isOperation(name string) bool {
	for _, c := range operations() {
		if c.Name == name {
			return true
		}
	}
	return false
}

// operating is a statement that is being carried out.
type operating struct {
	*session
	command *Command
	fleet   *fleet.Fleet
	by      catalog.Actor
	words   []token // that are not read yet
	pattern string  // what a SHOW is narrowed down to
}

// operate carries out a statement for which the catalog is needed.
func (s *session) operate(ctx context.Context, c *Command, words []token, pattern string) error {
	f, err := s.console.theFleet()
	if err != nil {
		return &wire.Error{Code: wire.CodeObjectNotInState, Message: err.Error()}
	}
	return s.refusal(c.operate(ctx, &operating{session: s, command: c, fleet: f, by: s.actor(), words: words, pattern: pattern}))
}

var errNoFleet = errors.New("there is no catalog, which keeps tenants that are made and changed while Howdah runs: give [catalog] url")

func (c *Console) theFleet() (*fleet.Fleet, error) {
	if c.Fleet == nil {
		return nil, errNoFleet
	}
	return c.Fleet()
}

// actor is who the audit log says it was.
func (s *session) actor() catalog.Actor {
	from := s.conn.RemoteAddr().String()
	if host, _, err := net.SplitHostPort(from); err == nil {
		from = host
	}
	return catalog.Actor{Name: s.login.User, Door: "console", From: from}
}

// refusal puts an error of package fleet into PostgreSQL's words.
func (s *session) refusal(err error) error {
	e := &wire.Error{}
	var busy *catalog.BusyError
	var away *fleet.StoreError
	var invalid *fleet.InvalidError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &e):
		return e
	case errors.As(err, &invalid):
		e.Code = wire.CodeInvalidParameter
	case errors.As(err, &away):
		e.Code = wire.CodeObjectNotInState
	case errors.As(err, &busy):
		e.Code, e.Hint = codeObjectInUse, fmt.Sprintf("SHOW JOBS tells how far it is; CANCEL JOB '%s' has it undone.", busy.Operation)
	case errors.Is(err, catalog.ErrNotFound):
		e.Code = codeUndefinedObject
	case errors.Is(err, catalog.ErrExists):
		e.Code = codeDuplicateObject
	case errors.Is(err, catalog.ErrChanged), errors.Is(err, fleet.ErrFile):
		e.Code = wire.CodeObjectNotInState
	case errors.Is(err, catalog.ErrReview):
		e.Code, e.Hint = wire.CodeObjectNotInState, "Compare SHOW TENANTS with the databases that there are, then END REVIEW."
	default:
		if s.console.Log != nil {
			s.console.Log.Error("console command failed", "user", s.login.User, "error", err)
		}
		return s.failure(err)
	}
	e.Message = strings.ReplaceAll(err.Error(), "catalog: ", "")
	return e
}

// failure is what is told of an error that is in the log.
func (s *session) failure(err error) *wire.Error {
	var cluster *fleet.ClusterError
	f, none := s.console.theFleet()
	switch {
	case errors.As(err, &cluster):
		return &wire.Error{Code: wire.CodeObjectNotInState, Message: cluster.Told()}
	case none == nil && f.Catalog.IsAway(err):
		return &wire.Error{Code: wire.CodeObjectNotInState, Message: "the catalog is away", Hint: "Tenants are served as before; nothing can be looked up in the catalog or changed."}
	}
	return &wire.Error{Code: wire.CodeInternalError, Message: "it failed; the log says why"}
}

// badOperation is an operation that is not written as it should be. It tells nothing of
// its text: there may be a password in it.
func badOperation(name string) error {
	e := &wire.Error{Code: wire.CodeSyntaxError, Message: "this is no " + name}
	for _, c := range operations() {
		if c.Name == name {
			e.Hint = "Write " + c.Usage + "."
		}
	}
	return e
}

// bad is an error of the statement's form.
func (o *operating) bad() error { return badOperation(o.command.Name) }

// take reads the next word if it is a keyword.
func (o *operating) take(keyword string) bool {
	if len(o.words) == 0 || o.words[0].kind != tokenWord || !strings.EqualFold(o.words[0].text, keyword) {
		return false
	}
	o.words = o.words[1:]
	return true
}

// operand reads a name or a string.
func (o *operating) operand() (string, error) {
	if len(o.words) == 0 || !o.words[0].isOperand() || o.words[0].text == "" {
		return "", o.bad()
	}
	text := o.words[0].text
	o.words = o.words[1:]
	return text, nil
}

// only reads the one operand that there is.
func (o *operating) only() (string, error) {
	text, err := o.operand()
	if err == nil {
		err = o.end()
	}
	return text, err
}

// end is an error where something is left.
func (o *operating) end() error {
	if len(o.words) > 0 {
		return o.bad()
	}
	return nil
}

// clauses read what may follow a keyword.
type clauses map[string]func() error

// named reads a name and the clauses behind it, in any order.
func (o *operating) named(name *string, of clauses) error {
	err := o.text(name)()
	for err == nil && len(o.words) > 0 {
		word := o.words[0]
		read := of[strings.ToLower(word.text)]
		if word.kind != tokenWord || read == nil {
			return o.bad()
		}
		o.words = o.words[1:]
		err = read()
	}
	return err
}

// text is of clauses that have one operand.
func (o *operating) text(into *string) func() error {
	return func() (err error) {
		*into, err = o.operand()
		return err
	}
}

// cluster is the clause ON CLUSTER.
func (o *operating) cluster(into *string) func() error {
	return func() error {
		if !o.take("cluster") {
			return o.bad()
		}
		return o.text(into)()
	}
}

// settings reads key = value, and more behind commas. A value in quotes is a string,
// another one what it is in JSON, if it is that.
func (o *operating) settings() (catalog.Settings, error) {
	settings := catalog.Settings{}
	for {
		key, err := o.operand()
		if err != nil {
			return nil, err
		}
		if len(o.words) < 2 || o.words[0].kind != '=' && !strings.EqualFold(o.words[0].text, "to") || !o.words[1].isOperand() {
			return nil, o.bad()
		}
		settings[key] = settingValue(o.words[1])
		o.words = o.words[2:]
		if len(o.words) == 0 || o.words[0].kind != ',' {
			return settings, nil
		}
		o.words = o.words[1:]
	}
}

func settingValue(t token) any {
	var values catalog.Settings // knows whole numbers from others
	if t.kind != tokenWord || json.Unmarshal([]byte(`{"value":`+t.text+`}`), &values) != nil {
		return t.text
	}
	return values["value"]
}

// duration reads a time such as '36h'.
func (o *operating) duration() (time.Duration, error) {
	text, err := o.operand()
	if err != nil {
		return 0, err
	}
	d, ok := parseDuration(text)
	if !ok {
		return 0, &wire.Error{Code: wire.CodeInvalidParameter, Message: fmt.Sprintf("%q is no time", text), Hint: "Write it like '36h', '90m' or '2 days'."}
	}
	return d, nil
}

// parseDuration reads Go's '1h30m', or a number and one of PostgreSQL's units: '1 hour'.
func parseDuration(text string) (time.Duration, bool) {
	if d, err := time.ParseDuration(text); err == nil {
		return d, d >= 0
	}
	number, unit, _ := strings.Cut(strings.TrimSpace(text), " ")
	n, err := strconv.ParseUint(number, 10, 16)
	of, ok := map[string]time.Duration{
		"second": time.Second, "minute": time.Minute, "hour": time.Hour, "day": 24 * time.Hour,
	}[strings.TrimSuffix(strings.ToLower(strings.TrimSpace(unit)), "s")]
	return time.Duration(n) * of, err == nil && ok
}

// begun tells of a job.
func (o *operating) begun(job *catalog.Operation) {
	o.begin(columns("job s, kind s, tenant s, state s")).row(job.ID, job.Kind, job.Tenant, string(job.State))
	o.jobNotice(job.ID)
}

func (o *operating) jobNotice(id string) {
	o.notice("the job goes on by itself", fmt.Sprintf("SHOW JOBS tells how far it is; CANCEL JOB '%s' has it undone.", id))
}

// steer is CANCEL JOB or RESUME JOB.
func steer(do func(*fleet.Fleet, context.Context, catalog.Actor, string) error) func(context.Context, *operating) error {
	return func(ctx context.Context, o *operating) error {
		id, err := o.only()
		if err != nil {
			return err
		}
		if err := do(o.fleet, ctx, o.by, id); err != nil {
			return err
		}
		job, err := o.fleet.Catalog.Operation(ctx, id)
		if err != nil {
			return err
		}
		o.begin(columns("job s, kind s, tenant s, state s")).row(job.ID, job.Kind, job.Tenant, string(job.State))
		return nil
	}
}

func endReview(ctx context.Context, o *operating) error {
	if err := o.end(); err != nil {
		return err
	}
	return o.fleet.Catalog.EndReview(ctx, o.by)
}
