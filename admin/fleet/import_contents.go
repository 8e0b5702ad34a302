package fleet

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"howdah/admin/jobs"
	"howdah/backup/export"
	"howdah/provision"
	"howdah/provision/dump"
	"howdah/provision/odoo"
	"howdah/wire"
	"howdah/wire/postgres"
)

// importParts are the steps of an import as far as progress goes: half of them are for
// fetching, and nearly half for restoring; what is done to the cluster is little.
const (
	importParts   = 120
	importShare   = 50
	importReceive = 6 // steps of Receive, at most
)

// filling is an operation that fills the database of a tenant to be from a dump.
type filling struct {
	*creation
	f          *Fleet
	run        *jobs.Run
	neutralise odoo.Way
	about      *export.Manifest // what the dump is of
	scratch    *dump.Scratch
	details    details
	password   string // of the role, for as long as it fills the database

	// Of what is to be swapped in: it is filled as the tenant's role, and another comes to be
	// nothing in it.
	as           string   // "" is of what becomes a tenant of its own
	owner        string   // of the database, as it was
	roles        []string // that have rights in it
	privileges   bool     // those are restored
	unprivileged string   // why not
}

func (f *Fleet) fillingOf(r *jobs.Run, c *creation, neutralise odoo.Way) *filling {
	return &filling{creation: c, f: f, run: r, neutralise: neutralise, password: rand.Text(), about: &export.Manifest{}}
}

// fillFromExport fills the database from an export.
func (f *Fleet) fillFromExport(ctx context.Context, r *jobs.Run, p *importing, result map[string]any) error {
	x := f.fillingOf(r, &p.creation, p.Neutralise)
	place, about, err := f.exportAt(ctx, p.Export)
	if err != nil {
		return err
	}
	x.about = about
	if err := x.startAnew(ctx); err != nil {
		return err
	}
	if err := f.takes(ctx, p.Cluster, x.about); err != nil {
		return refuseInvalid(err)
	}
	return x.fill(ctx, x.about.Size, func(ctx context.Context) error { return x.fetch(ctx, place, p.Export) }, result)
}

// startAnew removes what an earlier attempt has left half full.
func (x *filling) startAnew(ctx context.Context) error {
	if x.run.Operation.Step == "" {
		return nil
	}
	return x.change(ctx, x.receiving(), provision.Undo, 0)
}

// fill makes the database and has it be the tenant's. bring puts a dump of about so many
// bytes into the scratch folder, and says what it is of. What is to be told is added to the
// result.
func (x *filling) fill(ctx context.Context, size int64, bring func(context.Context) error, result map[string]any) error {
	var err error
	if x.scratch, err = dump.MakeScratch(x.f.scratch(), size); err != nil {
		return err
	}
	defer x.f.removeScratch(x.run, x.scratch)
	if err := bring(ctx); err != nil {
		return err
	}
	if err := x.classes(ctx); err != nil {
		return err
	}
	if err := x.change(ctx, x.receiving(), provision.Plan, importShare); err != nil {
		return impossible(err)
	}
	if err := x.restore(ctx); err != nil {
		return err
	}
	if x.as != "" {
		return nil
	}
	if err := x.settle(ctx, result); err != nil {
		return err
	}
	return x.arrive(ctx)
}

// classes has a database of which nobody has said them have the cluster's character
// classes.
func (x *filling) classes(ctx context.Context) error {
	if x.about.CType != "" {
		return nil
	}
	conn, err := x.f.connect(ctx, x.Cluster)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	err = conn.QueryRow(ctx, "select datctype from pg_catalog.pg_database where datname = 'template0'").Scan(&x.about.CType)
	if err != nil {
		return fmt.Errorf("look at cluster %q: %w", x.Cluster, err)
	}
	return nil
}

// refuseInvalid has what was refused at the door, and is wrong now, end the operation.
func refuseInvalid(err error) error {
	var invalid *InvalidError
	if errors.As(err, &invalid) {
		return jobs.Refuse(err)
	}
	return err
}

// impossible has a locale or an encoding that a server does not have end the operation.
func impossible(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && (pg.Code == "22023" || pg.Code == "42809") { // invalid_parameter_value, wrong_object_type
		return jobs.Refuse(err)
	}
	return err
}

// change makes the cluster what an operation wants it to be, behind so many steps.
func (x *filling) change(ctx context.Context, op provision.Operation, plan planner, done int) error {
	c := &changing{run: x.run, cluster: x.Cluster, op: op, holds: []string{}, done: done, after: importParts - done - importReceive}
	_, err := x.f.change(ctx, c, plan)
	return err
}

func (x *filling) receiving() provision.Receive {
	return provision.Receive{
		ID: x.ID, JobID: x.run.ID, Database: x.Settings.Text("database"), Role: x.User,
		Verifier:   wire.MakeVerifier(x.password, 0, nil).String(),
		Locale:     provision.Locale{Encoding: x.about.Encoding, Collate: x.about.Collate, CType: x.about.CType},
		Extensions: x.about.Extensions, Sessions: dump.Connections(0), As: x.as,
	}
}

// fetch fetches the files of an export, and reads what is not pg_restore's.
func (x *filling) fetch(ctx context.Context, place *export.Place, id string) error {
	if err := os.Mkdir(x.scratch.Data(), 0o700); err != nil {
		return fmt.Errorf("make scratch folder: %w", err)
	}
	err := x.run.Step(ctx, "fetch", 0, importParts, func(ctx context.Context) error {
		return place.Fetch(ctx, x.about, x.scratch.Data(), x.f.tell(ctx, x.run, 0, importShare, importParts, x.about.Size))
	})
	if err != nil {
		return err
	}
	text, err := os.ReadFile(filepath.Join(x.scratch.Data(), detailsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(text, &x.details)
	}
	if err != nil {
		return jobs.Refuse(fmt.Errorf("read %s of export %q: %w", detailsFile, id, err))
	}
	return nil
}

// restore fills the database as the tenant's role: what is in the dump is the tenant's,
// and is executed.
func (x *filling) restore(ctx context.Context) error {
	conn, err := x.f.connect(ctx, x.Cluster)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var major int
	if err := conn.QueryRow(ctx, "select pg_catalog.current_setting('server_version_num')::int / 10000").Scan(&major); err != nil {
		return err
	}
	tools, err := postgres.FindClient(major)
	if err != nil {
		return jobs.Refuse(err)
	}
	if err := x.keepPlain(ctx, conn); err != nil {
		return err
	}
	into, err := x.f.login(x.Cluster, provision.NewName(x.run.ID))
	if err != nil {
		return err
	}
	const done = importShare + importReceive
	return x.run.Step(ctx, "restore", done, importParts, func(ctx context.Context) error {
		return dump.Restore(ctx, dump.In{
			Tools: tools, Into: into.As(x.User, x.password), As: x.as, Privileges: x.privileges,
			Progress: x.f.tell(ctx, x.run, done, importShare, importParts, x.about.Size),
		}, x.scratch)
	})
}

// keepPlain forgets settings that the tenant could not have made itself: a superuser is
// going to make them.
func (x *filling) keepPlain(ctx context.Context, conn *pgx.Conn) error {
	rows, err := conn.Query(ctx, "select name from pg_catalog.pg_settings where context = 'user' and name !~ '[.]'")
	if err != nil {
		return fmt.Errorf("list settings: %w", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("list settings: %w", err)
	}
	plain := map[string]bool{}
	for _, name := range names {
		plain[strings.ToLower(name)] = true
	}
	var kept []provision.Setting
	for _, s := range x.details.Settings {
		if plain[strings.ToLower(s.Name)] {
			kept = append(kept, s)
		} else {
			x.f.Log.Warn("a setting is not imported, which only a superuser may make or this server does not have", "tenant", x.run.Tenant, "setting", s.Name)
		}
	}
	x.details.Settings = kept
	return nil
}

// settle makes a copy of what is to be one, before anybody can see it.
func (x *filling) settle(ctx context.Context, result map[string]any) error {
	if !copies(x.neutralise) {
		return nil
	}
	const done = 2*importShare + importReceive
	return x.run.Step(ctx, "settle in", done, importParts, func(ctx context.Context) error {
		report, err := x.f.settleAs(ctx, x.Cluster, x.run.ID, x.User, x.password, odoo.Copy{UUID: x.ID, Neutralise: x.neutralise})
		result["neutralise"], result["done"] = x.neutralise, report
		return err
	})
}

// arrive gives the role its own secret and the database, and opens that.
func (x *filling) arrive(ctx context.Context) error {
	return x.change(ctx, provision.Arrive{
		ID: x.ID, JobID: x.run.ID, Database: x.Settings.Text("database"), Role: x.User, Verifier: x.ServerVerifier,
		Settings: x.details.Settings, ConnectionLimit: x.details.ConnectionLimit,
	}, provision.Plan, 2*importShare+importReceive+1)
}
