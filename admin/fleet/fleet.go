package fleet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"howdah/admin/jobs"
	"howdah/backup/export"
	"howdah/backup/repository"
	"howdah/provision"
	"howdah/tenants"
	"howdah/tenants/catalog"
	"howdah/wire/postgres"
)

// Pooler is what operations need of the router: to hold a tenant's clients.
type Pooler interface {
	// Hold has a tenant's clients wait, until Release or for so long, and returns when
	// nothing of theirs is in its database any more, or with ctx's error. Holding again
	// makes it last longer.
	Hold(ctx context.Context, tenant, operation string, lasts time.Duration) error
	// Listen has the sessions that listen do so again, and returns when they do.
	Listen(ctx context.Context, tenant, operation string) error
	Release(tenant, operation string)
}

// Config is what a Fleet works with.
type Config struct {
	Catalog  *catalog.Catalog
	Registry *tenants.Registry // follows the catalog
	// Check says what would be wrong with the registry if the catalog had these entries.
	Check func([]catalog.Entry) error
	// MasterKey returns what seals the secrets of managed tenants; nil, or returning nil, is
	// none.
	MasterKey func() *catalog.MasterKey
	Log       *slog.Logger
	// Scratch is the folder in which dumps are kept on their way; "" is one in the
	// system's folder of temporary files.
	Scratch string
	// Exports returns where exports are put: into the store of a name or, where that is "", that
	// of a cluster. Without both it returns all where some are kept, and why others cannot be
	// opened. nil, or returning nothing, is nowhere.
	Exports func(store, cluster string) ([]*export.Place, error)
	// Repository returns what is stored of a cluster's WAL and base backups, or why that
	// cannot be read; nil, or returning none, is that nothing is.
	Repository func(cluster string) (*repository.Repository, error)
	// ArchiveGet is the command by which a server that recovers gets WAL, in front of the
	// socket's path: this program's "wal archive-get --socket".
	ArchiveGet []string
	// FilestoreDir returns the folder on this machine in which Odoo has one of files for each
	// database; nil, or returning "", is that it is not known here.
	FilestoreDir func() string
	// OdooAddons returns folders of Odoo's modules on this machine, as package
	// provision/odoo has them; nil, or returning none, is that there are none.
	OdooAddons func() []string
	// DrainFor is for how long running transactions may go on when a tenant is held; 0 is
	// 30 s. Then they are cut off: the operation is going to close the database.
	DrainFor time.Duration
	// Stepped is called, if not nil, when a step of an operation has been noted to
	// begin, and when it has been done but that is not noted yet. Tests crash there.
	Stepped func(kind, step string, begun bool)
}

// Fleet does what an operator asks for.
type Fleet struct {
	Config
	runner   *jobs.Runner
	compared compared
	kept     connections
}

// New returns a Fleet. Its operations are run while Run runs, on this node or another.
// node names this node, the same after a restart.
func New(ctx context.Context, node string, c Config) (*Fleet, error) {
	f := &Fleet{Config: c}
	if f.MasterKey == nil {
		f.MasterKey = func() *catalog.MasterKey { return nil }
	}
	var err error
	f.runner, err = jobs.New(ctx, c.Catalog, node, map[string]jobs.Kind{
		"create":    {Forward: f.create, Back: f.uncreate},
		"suspend":   {Forward: f.suspend, Back: f.backToState},
		"resume":    {Forward: f.resume, Back: f.backToState},
		"rename":    {Forward: f.rename, Back: f.unrename},
		"clone":     {Forward: f.clone, Back: f.unclone},
		"move":      {Forward: f.move, Back: f.moveBack},
		"export":    {Forward: f.export, Back: f.unexport},
		"import":    {Forward: f.importTenant, Back: f.uncreate},
		"restore":   {Forward: f.restore, Back: f.restoreBack},
		"unrestore": {Forward: f.unrestore, Back: f.rerestore},
		"rotate":    {Forward: f.rotate, Back: f.unrotate},
		"drop":      {Forward: f.drop, Back: f.takeBack},
		"undrop":    {Forward: f.undrop, Back: f.dropAgain},
		"purge":     {Forward: f.purge}, // what is gone is gone
		"follow":    {Forward: f.follow, Back: f.unfollow},
	}, f.schedules(), c.Log)
	if err == nil {
		f.runner.Stepped = c.Stepped
		f.runner.Finishing = f.record
	}
	return f, err
}

// Run runs operations, and what is done on a schedule, until ctx ends.
func (f *Fleet) Run(ctx context.Context) error {
	if err := postgres.SweepScratch(f.scratch()); err != nil {
		f.Log.Warn("cannot remove dumps that a process before this one has left", "error", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() { f.watchRoles(ctx) })
	defer watching.Wait()
	defer cancel()
	defer f.kept.close()
	return f.runner.Run(ctx)
}

// InvalidError is what is wrong with what was asked for. Field is where, "" for the
// whole.
type InvalidError struct {
	Field  string
	Reason error
}

func (e *InvalidError) Error() string {
	if e.Field == "" {
		return e.Reason.Error()
	}
	return e.Field + ": " + e.Reason.Error()
}

func (e *InvalidError) Unwrap() error { return e.Reason }

func invalid(field, format string, args ...any) error {
	return &InvalidError{Field: field, Reason: fmt.Errorf(format, args...)}
}

// ErrFile is of what stands in howdah.toml: it is changed there.
var ErrFile = errors.New("it stands in howdah.toml: change it there, and reload")

// cluster returns the cluster of that name, which must be one that can be changed.
func (f *Fleet) cluster(name string) (*tenants.Cluster, error) {
	c, ok := f.Registry.Snapshot().Cluster(name)
	if !ok {
		return nil, fmt.Errorf("cluster %q: %w", name, catalog.ErrNotFound)
	}
	if c.AdminURL == "" {
		return nil, invalid("cluster", "cluster %q has no admin_url, by which databases are made", name)
	}
	return c, nil
}

// tenant returns the catalog's tenant of that name. One of the file is ErrFile.
func (f *Fleet) tenant(tx *catalog.Tx, name string) (*catalog.Entry, error) {
	e, err := tx.Entry(catalog.Tenant, name)
	if errors.Is(err, catalog.ErrNotFound) && f.inRegistry(name) {
		return nil, fmt.Errorf("tenant %q: %w", name, ErrFile)
	}
	return e, err
}

func (f *Fleet) inRegistry(name string) bool {
	_, ok := f.Registry.Snapshot().Tenant(name)
	return ok
}

// checked makes a change to entries and looks whether the registry would take it.
func (f *Fleet) checked(ctx context.Context, by catalog.Actor, change func(*catalog.Tx) error) error {
	return f.Catalog.Change(ctx, by, f.checking(change))
}

// checking is change with that look.
func (f *Fleet) checking(change func(*catalog.Tx) error) func(*catalog.Tx) error {
	return func(tx *catalog.Tx) error {
		if err := change(tx); err != nil {
			return err
		}
		entries, err := tx.Entries()
		if err != nil {
			return err
		}
		if err := f.Check(entries); err != nil {
			return &InvalidError{Reason: err}
		}
		return nil
	}
}

// knownFor is for how long an operation waits until this node's registry has its change.
const knownFor = 5 * time.Second

// settle waits until the registry says of a tenant what it should. Other nodes hear of
// it at the same time; a node that does not is one without the catalog.
func (f *Fleet) settle(ctx context.Context, done func(*tenants.Snapshot) bool) {
	changes, stop := f.Registry.Watch()
	defer stop()
	for timeout := time.After(knownFor); !done(f.Registry.Snapshot()); {
		select {
		case <-changes:
		case <-timeout:
			return
		case <-ctx.Done():
			return
		}
	}
}

// refusal makes an error of package provision that time does not mend one that ends the
// operation.
func refusal(err error) error {
	if errors.Is(err, provision.ErrConflict) || errors.Is(err, provision.ErrInvalid) || errors.Is(err, provision.ErrNotFound) {
		return jobs.Refuse(err)
	}
	return err
}
