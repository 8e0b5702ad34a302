package fleet

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"howdah/backup/base"
	"howdah/backup/lineage"
	"howdah/backup/repository"
	"howdah/backup/restore"
	"howdah/backup/store"
	"howdah/backup/wal"
	"howdah/provision"
	"howdah/provision/dump"
	"howdah/provision/odoo"
	"howdah/tenants/catalog"
	"howdah/wire"
	"howdah/wire/postgres"
)

// NewRestore is what is to be restored of a tenant. Only the time must be given.
type NewRestore struct {
	To         string   // as restore.ParseTarget has it
	As         string   // the new tenant's name; "" = the tenant's, and _restored
	Password   string   // of the new tenant; "" = a new one
	Neutralise odoo.Way // "" = Auto
	// Swap has what was restored be the tenant's database, and the one of before be kept: As,
	// Password and Neutralise are not given then.
	Swap bool  `json:",omitempty"`
	Once *Once // nil = it is another restore each time
}

// Restoring is a tenant that is being restored to a time.
type Restoring struct {
	Creation
	Tenant     string    `json:"tenant"`
	Target     string    `json:"target"`
	From       string    `json:"from" doc:"the cluster on which it was then"`
	Base       string    `json:"base_backup" doc:"the base backup that it begins with"`
	Taken      time.Time `json:"base_backup_taken"`
	Fetch      int64     `json:"fetch_bytes" doc:"that are fetched of the base backup"`
	WAL        int64     `json:"wal_bytes" doc:"that are read behind it, at most, before they were compressed"`
	Room       int64     `json:"room_bytes" doc:"on the disk of temporary files, about"`
	About      float64   `json:"about_seconds" doc:"an estimate"`
	Neutralise odoo.Way  `json:"neutralise" doc:"auto, builtin or none"`
	Swap       bool      `json:"swap" doc:"it takes the tenant's place, which keeps its name and user"`
}

// restoring are the parameters of the operation.
type restoring struct {
	creation
	Source     origin   `json:"source"`
	Target     string   `json:"target"`
	From       string   `json:"from"`            // the cluster on which the tenant was then
	OID        uint32   `json:"oid"`             // that its database is believed to have had; 0 = nobody knows
	Known      []uint32 `json:"known,omitempty"` // those that it can have had, as far as was recorded; nil = nobody knows
	Was        string   `json:"was,omitempty"`   // what the tenant was called then, as far as was recorded
	Neutralise odoo.Way `json:"neutralise"`
	Swap       bool     `json:"swap,omitempty"`
	Model      float64  `json:"model"` // for how many seconds it would take where nothing is known
}

var errNoRepository = errors.New("there is nothing to restore from: give [backup] store, and the cluster's replication_url")

// repository returns what is stored of a cluster.
func (f *Fleet) repository(cluster string) (*repository.Repository, error) {
	if f.Repository == nil || f.ArchiveGet == nil {
		return nil, &InvalidError{Reason: errNoRepository}
	}
	repo, err := f.Repository(cluster)
	if err == nil && repo == nil {
		return nil, &InvalidError{Reason: errNoRepository}
	}
	if err != nil {
		return nil, &StoreError{err}
	}
	return repo, nil
}

// RestoreTenant begins to restore a tenant to a time, as a new tenant beside it; or with dry
// says what it would do. What cannot be reached is refused before anything is done.
func (f *Fleet) RestoreTenant(ctx context.Context, by catalog.Actor, name string, n NewRestore, dry bool) (*Restoring, error) {
	request := n.hash(name)
	if first, err := answered[Restoring](ctx, f, by, n.Once, request); first != nil || err != nil {
		return first, err
	}
	if err := n.check(); err != nil {
		return nil, err
	}
	target, err := restore.ParseTarget(n.To)
	if err != nil {
		return nil, &InvalidError{Field: "to", Reason: err}
	}
	e, err := f.exportable(ctx, name)
	if err != nil {
		return nil, err
	}
	if n.Swap && stateOf(e) == suspended {
		return nil, invalid("swap", "tenant %q is suspended: resume it first, or have it restored beside", name)
	}
	p, made, err := f.planRestore(ctx, e, n, target)
	if err != nil {
		return nil, err
	}
	t := NewTenant{Name: made.Name, Database: made.Database, User: made.User, Password: made.Password, Cluster: made.Cluster, Once: n.Once}
	if dry {
		made.Password, made.Steps = "", p.says(made, f.filestoreDir())
		return made, nil
	}
	return made, f.beginRestore(ctx, by, &t, request, made, p)
}

// check looks at what is asked for, and fills in what was not given.
func (n *NewRestore) check() error {
	if n.Swap {
		switch {
		case n.As != "":
			return invalid("as", "what is swapped keeps the tenant's name")
		case n.Password != "":
			return invalid("password", "what is swapped keeps the tenant's user, with its password")
		case copies(n.Neutralise):
			return invalid("neutralise", "what is swapped goes on as the tenant, and is not neutralised")
		}
		n.Neutralise = odoo.None
		return nil
	}
	n.Neutralise = cmp.Or(n.Neutralise, odoo.Auto)
	return checkWay(n.Neutralise)
}

// beginRestore begins the operation, unless this very request has begun it.
func (f *Fleet) beginRestore(ctx context.Context, by catalog.Actor, n *NewTenant, request []byte, made *Restoring, p *restoring) error {
	return f.Catalog.Change(ctx, by, func(tx *catalog.Tx) error {
		if n.Once != nil { // the same request may have come at the same time
			var first Restoring
			if again, err := n.Once.again(tx, request, &first); again || err != nil {
				*made = first
				return err
			}
		}
		var err error
		if p.Swap {
			err = p.Source.stays(tx)
		} else {
			err = f.fits(tx, n.Name, p.Settings, p.UserSettings, "")
		}
		if err != nil {
			return err
		}
		if made.Operation, err = f.runner.Begin(ctx, tx, "restore", n.Name, p); err != nil || n.Once == nil {
			return err
		}
		return n.Once.keep(tx, request, made)
	})
}

// hash is as NewTenant's.
func (n *NewRestore) hash(name string) []byte {
	request := *n
	request.Once = nil
	text, _ := json.Marshal(request)
	text = append([]byte("restore "+name+"\x00"), text...)
	if n.Once != nil {
		text = append(text, n.Once.Secret...)
	}
	sum := sha256.Sum256(text)
	return sum[:]
}

// planRestore decides what is made, and looks whether it can be.
func (f *Fleet) planRestore(ctx context.Context, e *catalog.Entry, n NewRestore, target restore.Target) (*restoring, *Restoring, error) {
	s := e.Settings
	p := &restoring{Source: origin{onTenant{e.ID, s.Text("cluster")}, e.Name, s.Text("database"), s.Text("user")}, Neutralise: n.Neutralise, Swap: n.Swap}
	plan, err := f.reachable(ctx, p, target)
	if err != nil {
		return nil, nil, err
	}
	if err := f.hasLocale(ctx, p); err != nil {
		return nil, nil, err
	}
	made := &Restoring{
		Creation: Creation{Name: e.Name, Cluster: p.Source.Cluster, Why: "the tenant is there", Database: p.Source.Database, User: p.Source.User},
		Tenant:   e.Name, Target: p.Target, From: p.From, Base: plan.Base.ID, Taken: plan.Base.Finished, Neutralise: n.Neutralise, Swap: n.Swap,
	}
	if n.Swap {
		if err := f.fillable(ctx, p); err != nil {
			return nil, nil, err
		}
		p.creation = creation{ID: newID(), Cluster: p.Source.Cluster, Settings: catalog.Settings{}}
	} else if err := f.planBeside(ctx, e, n, p, made); err != nil {
		return nil, nil, err
	}
	return p, made, f.weigh(ctx, p, made, plan)
}

// anotherLocale says of a database that it cannot be made here.
func anotherLocale(provider string) error {
	return fmt.Errorf("the database had a locale of %s then: only those of the C library can be made here; `howdah restore --database` makes a dump of it", provider)
}

// hasLocale is an error where the tenant has the database still that is to be restored, and it
// could not be made here: a database's locale is the same for ever. Of others that shows when
// they have been recovered.
func (f *Fleet) hasLocale(ctx context.Context, p *restoring) error {
	if p.OID == 0 || p.From != p.Source.Cluster {
		return nil
	}
	conn, err := f.connect(ctx, p.From)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var provider string
	err = conn.QueryRow(ctx, "select "+providerOf+" from pg_catalog.pg_database d where oid = $1", p.OID).Scan(&provider)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil
	case err != nil:
		return fmt.Errorf("look at cluster %q: %w", p.From, err)
	case provider != "libc":
		return &InvalidError{Reason: anotherLocale(provider)}
	}
	return nil
}

// fillable is an error where a database cannot be filled as the tenant's role, since what is
// in a dump is executed.
func (f *Fleet) fillable(ctx context.Context, p *restoring) error {
	conn, err := f.connect(ctx, p.Source.Cluster)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var super bool
	err = conn.QueryRow(ctx, "select coalesce(bool_or(rolsuper), true) from pg_catalog.pg_roles where rolname = $1", p.Source.User).Scan(&super)
	if err != nil {
		return fmt.Errorf("look at cluster %q: %w", p.Source.Cluster, err)
	}
	if super {
		return invalid("swap", "the tenant's role %q is a superuser, or not there, and what a tenant has made is never run as a superuser: have it restored beside", p.Source.User)
	}
	return nil
}

// planBeside decides what the new tenant is.
func (f *Fleet) planBeside(ctx context.Context, e *catalog.Entry, n NewRestore, p *restoring, made *Restoring) error {
	s := e.Settings
	t := NewTenant{Name: cmp.Or(n.As, e.Name+"_restored"), Cluster: p.Source.Cluster, Tier: s.Text("tier"), Password: n.Password, Settings: ownSettings(s)}
	t, _, err := f.complete(ctx, t, f.reach)
	if errors.Is(err, catalog.ErrExists) && n.As == "" {
		return fmt.Errorf("%w: say by what other name the restored one goes", err)
	} else if err != nil {
		return err
	}
	user, serverVerifier, err := f.newUser(wire.MakeVerifier(t.Password, 0, nil))
	if err != nil {
		return err
	}
	p.creation = creation{ID: newID(), Cluster: t.Cluster, User: t.User, UserSettings: user, ServerVerifier: serverVerifier, Settings: t.entry()}
	made.Name, made.Database, made.User, made.Password = t.Name, t.Database, t.User, t.Password
	return nil
}

// reachable looks whether what is stored leads to the target, and whether it can be opened
// and put to use here.
func (f *Fleet) reachable(ctx context.Context, p *restoring, target restore.Target) (*restore.Plan, error) {
	if f.Repository == nil {
		return nil, &InvalidError{Reason: errNoRepository}
	}
	target, err := f.latest(ctx, p.Source.Cluster, target)
	if err != nil {
		return nil, err
	}
	p.Target = target.String()
	if err := f.whereWas(ctx, p, afterTarget(target)); err != nil {
		return nil, err
	}
	repo, err := f.repository(p.From)
	if err != nil {
		return nil, err
	}
	plan, err := f.plan(ctx, repo, target)
	if err != nil {
		return nil, restoreInvalid(err)
	}
	if err := base.CanOpen(ctx, repo, plan.Base); err != nil {
		return nil, restoreInvalid(err)
	}
	if _, err := postgres.Find(plan.Identity.Major); err != nil {
		return nil, &InvalidError{Reason: err}
	}
	tools, err := f.tools(ctx, p.Source.Cluster)
	switch {
	case err != nil:
		return nil, asInvalid(err)
	case tools.Major < plan.Identity.Major:
		return nil, invalid("cluster", "the tenant was on cluster %q of PostgreSQL %d then, and is on cluster %q of PostgreSQL %d: a dump goes to the same version or a newer one",
			p.From, plan.Identity.Major, p.Source.Cluster, tools.Major)
	case p.OID == 0 && p.From == p.Source.Cluster:
		p.OID, err = f.databaseNow(ctx, p)
	}
	return plan, err
}

// afterTarget says of a record whether it is of later than a target; nil is that nobody knows.
func afterTarget(target restore.Target) func(*lineage.Record) bool {
	switch {
	case !target.Time.IsZero():
		return func(r *lineage.Record) bool { return r.Time.After(target.Time) }
	case target.LSN != 0:
		return func(r *lineage.Record) bool { return r.LSN > target.LSN }
	}
	return nil
}

// restoreInvalid makes what cannot be restored what is wrong with the request.
func restoreInvalid(err error) error {
	var cluster *ClusterError
	switch {
	case errors.As(err, &cluster):
		return err
	case errors.Is(err, restore.ErrUnreachable):
		return &InvalidError{Field: "to", Reason: err}
	case errors.Is(err, repository.ErrEmpty), errors.Is(err, store.ErrDamaged), errors.Is(err, store.ErrNoIdentity), errors.Is(err, wal.ErrHole):
		return &InvalidError{Reason: err}
	}
	return &StoreError{err}
}

// latest makes the end of what is stored a moment: now.
func (f *Fleet) latest(ctx context.Context, cluster string, target restore.Target) (restore.Target, error) {
	if target != (restore.Target{}) {
		return target, nil
	}
	conn, err := f.connect(ctx, cluster)
	if err != nil {
		return target, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := conn.QueryRow(ctx, "select pg_catalog.clock_timestamp()").Scan(&target.Time); err != nil {
		return target, fmt.Errorf("ask cluster %q for the time: %w", cluster, err)
	}
	return target, nil
}

// How long the WAL of a commit may take to be stored, and how often that is looked at.
const (
	storedWithin = 20 * time.Second
	storedPause  = 500 * time.Millisecond
)

// plan is restore.Make for a target that may be behind the last commit of a quiet night:
// then it makes one, and waits until it is stored, for a recovery ends at a commit only.
func (f *Fleet) plan(ctx context.Context, repo *repository.Repository, target restore.Target) (*restore.Plan, error) {
	plan, err := restore.Make(ctx, repo, target, 0, "")
	if !errors.Is(err, restore.ErrBeyond) {
		return plan, err
	}
	if err := f.commit(ctx, repo.Cluster); err != nil {
		return nil, err
	}
	for end := time.Now().Add(storedWithin); errors.Is(err, restore.ErrBeyond) && time.Now().Before(end); {
		select {
		case <-time.After(storedPause):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		plan, err = restore.Make(ctx, repo, target, 0, "")
	}
	if errors.Is(err, restore.ErrBeyond) {
		err = fmt.Errorf("%w (a commit that was made for it was not stored within %s: is a Howdah running that receives the WAL of cluster %q?)", err, storedWithin, repo.Cluster)
	}
	return plan, err
}

// commit makes a commit at a cluster's primary.
func (f *Fleet) commit(ctx context.Context, cluster string) error {
	conn, err := f.connect(ctx, cluster)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, "set synchronous_commit = local; select pg_catalog.pg_current_xact_id()"); err != nil {
		return fmt.Errorf("commit at cluster %q: %w", cluster, err)
	}
	return nil
}

// databaseNow returns the OID of the tenant's database, 0 where it has none now.
func (f *Fleet) databaseNow(ctx context.Context, p *restoring) (uint32, error) {
	conn, err := f.connect(ctx, p.Source.Cluster)
	if err != nil {
		return 0, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	oid, _, err := provision.Find(ctx, conn, p.Source.ID)
	if errors.Is(err, provision.ErrNotFound) || errors.Is(err, provision.ErrConflict) {
		return 0, nil
	}
	return oid, err
}

// weigh says what the restore takes, and refuses it where there is no room.
func (f *Fleet) weigh(ctx context.Context, p *restoring, made *Restoring, plan *restore.Plan) error {
	need := f.restorer(nil, p, nil).Need(plan)
	made.Fetch, made.WAL, made.Room = need.Fetch, need.WAL, need.Room
	p.Model = need.Guess().Seconds()
	pace, err := f.paceOfRestores(ctx)
	if err != nil {
		return err
	}
	made.About = pace * p.Model
	if err := f.hasRoom(made.Room); err != nil {
		return &InvalidError{Reason: err}
	}
	return nil
}

// paceOfRestores says how many times as long as the guess restores take, by the last ones.
func (f *Fleet) paceOfRestores(ctx context.Context) (pace float64, err error) {
	err = f.Catalog.Pool().QueryRow(ctx, `select coalesce(avg(seconds / model), 1) from (
		select (result ->> 'seconds')::float8 as seconds, (result ->> 'model_seconds')::float8 as model from howdah.operation
		where kind = 'restore' and state = 'done' and result ? 'seconds' order by finished_at desc limit 5) last where seconds > 0 and model > 0`).Scan(&pace)
	if err != nil {
		return 0, fmt.Errorf("look how long restores took: %w", err)
	}
	return min(max(pace, 0.1), 10), nil
}

// says are the steps of a dry run. filestores is FilestoreDir.
func (p *restoring) says(made *Restoring, filestores string) []string {
	steps := []string{
		fmt.Sprintf("fetch %s of base backup %s, taken %s, with no other tenant's files", dump.Size(made.Fetch), made.Base, made.Taken.UTC().Format(time.RFC3339)),
		fmt.Sprintf("have a server of its own recover to %s, by at most %s of WAL", made.Target, dump.Size(made.WAL)),
		"make sure that nothing is missing, dump the database, and check its indexes",
	}
	files := "if it is an Odoo database, say which of the files that it refers to are stored, and by which command Odoo's host fetches them"
	if filestores != "" {
		files = fmt.Sprintf("if it is an Odoo database, fetch the files that it refers to and that are not there into %q in %q", made.Name, filestores)
	}
	if p.Swap {
		return append(steps,
			fmt.Sprintf("restore the dump into a new database on cluster %q, as role %q", p.Cluster, p.Source.User),
			files,
			fmt.Sprintf("have it be database %q, with the settings and rights of the one that is there, and keep that one, closed, until it is purged (the tenant's clients are held meanwhile)", p.Source.Database))
	}
	steps = append(steps,
		fmt.Sprintf("make an empty database and role %q on cluster %q", p.User, p.Cluster),
		fmt.Sprintf("restore the dump as role %q, which can do no more there than the tenant will", p.User))
	if copies(p.Neutralise) {
		steps = append(steps, fmt.Sprintf("if it is an Odoo database, neutralise it as role %q, and give it another uuid and secret", p.User))
	}
	return append(steps,
		fmt.Sprintf("rename it %q, give it to role %q and nobody else, and open it", p.Settings.Text("database"), p.User),
		fmt.Sprintf("enter tenant %q into the registry; tenant %q stays as it is", made.Name, p.Source.Name),
		files)
}
