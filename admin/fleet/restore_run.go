package fleet

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"howdah/admin/jobs"
	"howdah/backup/base"
	"howdah/backup/filestore"
	"howdah/backup/repository"
	"howdah/backup/restore"
	"howdah/backup/store"
	"howdah/backup/wal"
	"howdah/provision"
	"howdah/provision/dump"
	"howdah/provision/odoo"
	"howdah/tenants/catalog"
	"howdah/wire/postgres"
)

// restore makes a tenant of what another was at a moment. What is half done of an earlier
// attempt is made anew.
func (f *Fleet) restore(ctx context.Context, r *jobs.Run) error {
	var p restoring
	if err := r.Decode(&p); err != nil {
		return err
	}
	result := map[string]any{
		"tenant": p.Source.Name, "target": p.Target, "cluster": p.Cluster, "database": p.Settings.Text("database"), "user": p.User,
	}
	if p.Swap {
		result["database"], result["user"] = p.Source.Database, p.Source.User
		return restoreRefusal(needsSpace(p.Cluster, f.restoreSwapped(ctx, r, &p, result)))
	}
	there, err := f.lives(ctx, p.Cluster, p.ID)
	if err == nil && !there {
		err = f.fillFromBackup(ctx, r, &p, result)
	}
	if err != nil {
		return restoreRefusal(needsSpace(p.Cluster, err))
	}
	err = r.Step(ctx, "enter into the registry", importParts-2, importParts, func(ctx context.Context) error {
		return f.register(ctx, r, p.ID, r.Tenant, p.Settings, p.UserSettings, "")
	})
	if err != nil {
		return err
	}
	// They may take hours, for which the tenant does not wait.
	err = r.Step(ctx, "fetch files", importParts-1, importParts, func(ctx context.Context) error {
		return f.filesOfDatabase(ctx, r, p.files(), p.Cluster, p.Settings.Text("database"), result)
	})
	if err != nil {
		return err
	}
	return r.Finish(ctx, result, nil)
}

// restoreRefusal makes an error that time does not mend one that ends the operation.
func restoreRefusal(err error) error {
	for _, hopeless := range []error{
		fs.ErrPermission, errNoRepository, errUnknownOID, restore.ErrUnreachable, restore.ErrNoDatabase, repository.ErrEmpty, repository.ErrForeign, wal.ErrHole, wal.ErrConflict,
		store.ErrDamaged, store.ErrNoIdentity, dump.ErrContents, odoo.ErrFailed,
	} {
		if errors.Is(err, hopeless) {
			return jobs.Refuse(err)
		}
	}
	if isFull(err) {
		return jobs.Refuse(err)
	}
	return refusal(refuseInvalid(err))
}

// restoreBack leaves nothing of a restore that is not to be.
func (f *Fleet) restoreBack(ctx context.Context, r *jobs.Run) error {
	var p restoring
	if err := r.Decode(&p); err != nil {
		return err
	}
	if !p.Swap {
		if err := f.uncreate(ctx, r); err != nil {
			return err
		}
		f.removeCopyFiles(ctx, r.Tenant, p.ID, "")
		return nil
	}
	return f.unswap(ctx, r, p.swapping(r.ID), map[string]any{"tenant": p.Source.Name, "target": p.Target, "cluster": p.Cluster, "database": p.Source.Database, "user": p.Source.User})
}

// fillFromBackup fills the database from what is stored of the cluster.
func (f *Fleet) fillFromBackup(ctx context.Context, r *jobs.Run, p *restoring, result map[string]any) error {
	begun := time.Now()
	x := f.fillingOf(r, &p.creation, p.Neutralise)
	if p.Swap {
		name := fillerName(r.ID)
		x.as, x.User, x.Settings = p.Source.User, name, catalog.Settings{"database": name}
	}
	if err := x.startAnew(ctx); err != nil {
		return err
	}
	repo, err := f.repository(p.From)
	if err != nil {
		return err
	}
	target, err := restore.ParseTarget(p.Target)
	if err != nil {
		return jobs.Refuse(err)
	}
	plan, err := restore.Make(ctx, repo, target, 0, "")
	if err != nil {
		return err
	}
	result["base_backup"] = plan.Base.ID
	d := f.restorer(repo, p, x.saw)
	var names []string
	var unread error
	err = x.fill(ctx, d.Need(plan).Database, func(ctx context.Context) error {
		if err := x.recover(ctx, d, plan, p.Source.Database); err != nil || !p.Swap {
			return err
		}
		names, unread = filestore.NamesInDump(ctx, d.Binaries.Path("pg_restore"), x.scratch.Data(), namesMost)
		return nil
	}, result)
	result["seconds"], result["model_seconds"] = time.Since(begun).Seconds(), p.Model
	if x.as != "" && !x.privileges {
		result["rights"] = x.unprivileged
	}
	if err != nil || !p.Swap {
		return err
	}
	// Most are there by the time that the database comes, and those that are not are looked for then.
	return r.Step(ctx, "fetch files", importParts-swapParts, importParts, func(ctx context.Context) error {
		return f.bringFiles(ctx, r, p.files(), names, unread, result)
	})
}

// restorer is what gets the database as it was. saw, if not nil, is told what is to be known
// of it.
func (f *Fleet) restorer(repo *repository.Repository, p *restoring, saw func(context.Context, *pgx.Conn) error) *restore.Database {
	d := &restore.Database{Repo: repo, OID: p.OID, Get: f.ArchiveGet, Scratch: f.scratch(), Jobs: dumpJobs, Look: saw}
	d.Find = func(ctx context.Context, conn *pgx.Conn) (uint32, string, error) {
		oid, name, err := provision.Find(ctx, conn, p.Source.ID)
		if errors.Is(err, provision.ErrNotFound) {
			err = fmt.Errorf("tenant %q: %w", p.Source.Name, restore.ErrNoDatabase)
		}
		if err == nil && p.Known != nil && !slices.Contains(p.Known, oid) {
			err = fmt.Errorf("%w: tenant %q had database %q with OID %d then, says the server that has recovered, and it is recorded that the OID was one of %v", errUnknownOID, p.Source.Name, name, oid, p.Known)
		}
		return oid, name, err
	}
	if login, err := f.adminLogin(p.From); err == nil {
		d.Superuser = login["user"]
	}
	return d
}

// errUnknownOID is of a database that is marked as the tenant's, and is none that it is known
// to have had.
var errUnknownOID = errors.New("what is recorded of the tenant's databases does not go with the backup")

// dumpJobs is how many tables are dumped at a time.
const dumpJobs = 2

// recover has the database be dumped as it was. live is the name of the tenant's own, in the
// place of which it may come.
func (x *filling) recover(ctx context.Context, d *restore.Database, plan *restore.Plan, live string) error {
	var err error
	if d.Binaries, err = postgres.Find(plan.Identity.Major); err != nil {
		return jobs.Refuse(err)
	}
	x.about.Server, x.about.Tenant = plan.Identity.Major, x.run.Tenant
	d.Into, d.Progress = x.scratch.Data(), x.tellPart(ctx)
	err = x.run.Step(ctx, "recover", 0, importParts, func(ctx context.Context) error { return d.Run(ctx, plan) })
	if err != nil {
		return err
	}
	if x.about.Provider != "libc" {
		return jobs.Refuse(anotherLocale(x.about.Provider))
	}
	if x.as != "" {
		if err := x.judgePrivileges(ctx, live); err != nil {
			return err
		}
	}
	return refuseInvalid(x.f.takes(ctx, x.Cluster, x.about))
}

// rolesQuery asks who has rights in a database besides the owners of what is in it.
const rolesQuery = `select array(select distinct rolname::text from pg_shdepend s join pg_roles r on r.oid = s.refobjid
	where s.refclassid = 'pg_authid'::regclass and s.deptype in ('a', 'r') and s.dbid = (select oid from pg_database where datname = current_database()) order by 1)`

// strangersQuery asks which of some roles have no rights in a database, nor to it.
const strangersQuery = `select array(select r from unnest($1::text[]) r where r not in (
	select rolname::text from pg_catalog.pg_shdepend s join pg_catalog.pg_roles r on r.oid = s.refobjid, pg_catalog.pg_database d
	where d.datname = $2 and s.refclassid = 'pg_catalog.pg_authid'::regclass and s.deptype in ('a', 'r')
	and (s.dbid = d.oid or s.classid = 'pg_catalog.pg_database'::regclass and s.objid = d.oid)))`

// judgePrivileges decides whether what others may do in the database is restored. A name may
// mean another tenant's role by now: only who has rights in the live database is believed to
// be who had them then.
func (x *filling) judgePrivileges(ctx context.Context, live string) error {
	if x.owner != x.as {
		x.unprivileged = fmt.Sprintf("rights of other roles are not restored: the owner was called %q then", x.owner)
		return nil
	}
	conn, err := x.f.connect(ctx, x.Cluster)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	others := slices.DeleteFunc(slices.Clone(x.roles), func(role string) bool { return role == x.as })
	var strangers []string
	if err := conn.QueryRow(ctx, strangersQuery, others, live).Scan(&strangers); err != nil {
		return fmt.Errorf("look at cluster %q: %w", x.Cluster, err)
	}
	if x.privileges = len(strangers) == 0; !x.privileges {
		x.unprivileged = "rights of other roles are not restored: in the database as it is now there are none of " + short(strangers)
	}
	return nil
}

// saw notes of the database as it was what the dump does not have.
func (x *filling) saw(ctx context.Context, conn *pgx.Conn) error {
	var owner string
	err := conn.QueryRow(ctx, "select pg_get_userbyid(datdba)::text from pg_database where datname = current_database()").Scan(&owner)
	if err != nil {
		return err
	}
	var facts databaseFacts
	if err := facts.read(ctx, conn, owner); err != nil {
		return err
	}
	x.details, x.owner = facts.details, owner
	if err := conn.QueryRow(ctx, rolesQuery).Scan(&x.roles); err != nil {
		return err
	}
	a := x.about
	a.Encoding, a.Collate, a.CType, a.Provider, a.Extensions, a.Size = facts.encoding, facts.collate, facts.ctype, facts.provider, facts.extensions, facts.size
	return nil
}

// partShares are the steps of an import that each part of a restore counts for.
var partShares = map[string]struct{ done, share int }{
	restore.Fetch: {0, 20}, restore.Recover: {20, 20}, restore.Dump: {40, 5}, restore.Check: {45, importShare - 45},
}

// tellPart returns what notes how far which part is.
func (x *filling) tellPart(ctx context.Context) func(part string, p base.Progress) {
	var last time.Time
	var current string
	return func(part string, p base.Progress) {
		if part == current && time.Since(last) < tellPause {
			return
		}
		last, current = time.Now(), part
		s := partShares[part]
		done := s.done
		if p.Total > 0 {
			done += int(min(p.Done, p.Total) * int64(s.share-1) / p.Total)
		}
		_ = x.run.Part(ctx, part, done, importParts) // what cannot be noted is not
	}
}
