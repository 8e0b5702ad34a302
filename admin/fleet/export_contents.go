package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"howdah/admin/jobs"
	"howdah/backup/export"
	"howdah/backup/store"
	"howdah/provision"
	"howdah/provision/dump"
	"howdah/wire/postgres"
)

// detailsFile is the file of an export that says what the dump does not, since it belongs
// to the database itself.
const detailsFile = "howdah.json"

// details are what is in it.
type details struct {
	Settings        []provision.Setting `json:"settings"`
	ConnectionLimit int                 `json:"connection_limit"`
}

// databaseFacts are what is told of a database that is to be exported.
type databaseFacts struct {
	details
	encoding, collate, ctype, provider string
	extensions                         []string
	major                              int   // of the server
	size                               int64 // of a dump, about
}

// login says how to log in to a database of a cluster, as who may read all of it.
func (f *Fleet) login(cluster, database string) (dump.Login, error) {
	l, err := f.adminLogin(cluster)
	if err != nil {
		return nil, err
	}
	return l.In(database), nil
}

// logIn opens the connection that login tells of.
func (f *Fleet) logIn(ctx context.Context, cluster, database string) (*pgx.Conn, error) {
	login, err := f.login(cluster, database)
	if err != nil {
		return nil, err
	}
	conn, err := pgx.Connect(ctx, login.String())
	if err != nil {
		return nil, fmt.Errorf("log in to database %q: %w", database, err)
	}
	return conn, nil
}

// look reads what a database is. role is its tenant's.
func (f *Fleet) look(ctx context.Context, cluster, database, role string) (*databaseFacts, error) {
	conn, err := f.logIn(ctx, cluster, database)
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	facts := &databaseFacts{}
	if err := facts.read(ctx, conn, role); err != nil {
		return nil, fmt.Errorf("look at database %q: %w", database, err)
	}
	return facts, nil
}

// providerOf is the provider of a row d of pg_database's locale.
const providerOf = `case coalesce(to_jsonb(d) ->> 'datlocprovider', 'c') when 'c' then 'libc' when 'i' then 'icu' when 'b' then 'builtin' else 'another' end`

// factsQuery asks by to_jsonb for columns that older servers do not have.
// The limit of connections of a suspended database is in its comment while it is reached.
const factsQuery = `select pg_encoding_to_char(encoding), datcollate, datctype,
	coalesce(substring(shobj_description(oid, 'pg_database') from '^howdah:[^ ]+ suspended (-?[0-9]{1,9})$')::int, datconnlimit),
	` + providerOf + `,
	array(select extname::text from pg_extension where extname <> 'plpgsql' order by 1), current_setting('server_version_num')::int / 10000
	from pg_database d where datname = current_database()`

const settingsQuery = `select case when setrole = 0 then 'database' when setdatabase = 0 then 'role' else 'role in database' end,
	split_part(c, '=', 1), substr(c, strpos(c, '=') + 1)
	from pg_db_role_setting, unnest(setconfig) c
	where setdatabase in (0, (select oid from pg_database where datname = current_database()))
	and setrole in (0, coalesce((select oid from pg_roles where rolname = $1), 0)) and (setdatabase, setrole) <> (0, 0) order by 1, 2`

func (d *databaseFacts) read(ctx context.Context, conn *pgx.Conn, role string) error {
	if _, err := conn.Exec(ctx, "set search_path = pg_catalog"); err != nil {
		return err
	}
	err := conn.QueryRow(ctx, factsQuery).Scan(&d.encoding, &d.collate, &d.ctype, &d.ConnectionLimit, &d.provider, &d.extensions, &d.major)
	if err != nil {
		return err
	}
	rows, err := conn.Query(ctx, settingsQuery, role)
	if err != nil {
		return err
	}
	if d.Settings, err = pgx.CollectRows(rows, pgx.RowToStructByPos[provision.Setting]); err != nil {
		return err
	}
	d.size, err = dump.Estimate(ctx, conn)
	return err
}

// hasRoom is dump.ErrNoSpace where scratch folders have no room for so many bytes.
func (f *Fleet) hasRoom(bytes int64) error {
	if err := os.MkdirAll(f.scratch(), 0o711); err != nil {
		return fmt.Errorf("make scratch folder: %w", err)
	}
	return dump.CheckSpace(f.scratch(), bytes)
}

// storeStep is the name of the step in which an export comes into the store.
const storeStep = "store"

// exportParts are the steps of an export as far as progress goes: hundredths, of which
// dumping is the first half.
const (
	exportParts = 100
	exportHalf  = exportParts / 2
)

// exportFrom dumps a database and stores that as the tenant's export. before is how many
// steps the operation has done. What was stored by an earlier attempt is returned.
func (f *Fleet) exportFrom(ctx context.Context, r *jobs.Run, p *exporting, database string, before int) (*export.Manifest, error) {
	place, err := f.exports(p.Store, p.Cluster)
	if err != nil {
		return nil, err
	}
	if m, err := place.Manifest(ctx, p.Export); !errors.Is(err, store.ErrNotFound) {
		return m, err
	}
	taken := time.Now()
	facts, err := f.look(ctx, p.Cluster, database, p.User)
	if err != nil {
		return nil, err
	}
	tools, err := postgres.FindClient(facts.major)
	if err != nil {
		return nil, jobs.Refuse(err)
	}
	scratch, err := dump.MakeScratch(f.scratch(), facts.size)
	if err != nil {
		return nil, err
	}
	defer f.removeScratch(r, scratch)
	if err := f.dumpTo(ctx, r, scratch, tools, p.Cluster, database, facts, before); err != nil {
		return nil, err
	}
	return f.storeDump(ctx, r, place, scratch, facts.manifest(r, p, taken), before)
}

// exportReached is exportFrom for a database that is closed: superusers are let into it
// meanwhile.
func (f *Fleet) exportReached(ctx context.Context, r *jobs.Run, p *exporting, database string, reach provision.Reach, before int) (*export.Manifest, error) {
	c := &changing{run: r, cluster: p.Cluster, holds: []string{}, done: before, after: exportParts}
	look := func(open bool) error {
		reach.Open = open
		c.op = reach
		_, err := f.change(ctx, c, provision.Plan)
		return err
	}
	if err := look(true); err != nil {
		return nil, err
	}
	m, err := f.exportFrom(ctx, r, p, database, before+1)
	if err != nil {
		return nil, err
	}
	c.done, c.after = before+exportParts, 0
	return m, look(false)
}

func (f *Fleet) removeScratch(r *jobs.Run, scratch *dump.Scratch) {
	if err := scratch.Remove(); err != nil {
		f.Log.Warn("cannot remove a dump", "tenant", r.Tenant, "error", err)
	}
}

// manifest describes the export.
func (d *databaseFacts) manifest(r *jobs.Run, p *exporting, taken time.Time) export.Manifest {
	return export.Manifest{
		ID: p.Export, Tenant: r.Tenant, TenantID: p.ID, Cluster: p.Cluster, Server: d.major, Taken: taken,
		Encoding: d.encoding, Collate: d.collate, CType: d.ctype, Provider: d.provider, Extensions: append([]string{}, d.extensions...),
	}
}

// dumpTo dumps a database, with the details that the dump does not have.
func (f *Fleet) dumpTo(ctx context.Context, r *jobs.Run, into *dump.Scratch, tools postgres.Binaries, cluster, database string, facts *databaseFacts, before int) error {
	login, err := f.login(cluster, database)
	if err != nil {
		return err
	}
	err = r.Step(ctx, "dump", before, before+exportParts, func(ctx context.Context) error {
		_, err := dump.Dump(ctx, dump.Out{
			Tools: tools, From: login,
			Progress: f.tell(ctx, r, before, exportHalf, before+exportParts, facts.size),
		}, into)
		return err
	})
	if err != nil {
		return err
	}
	text, err := json.Marshal(facts.details)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(into.Data(), detailsFile), text, 0o600)
}

// storeDump stores what was dumped.
func (f *Fleet) storeDump(ctx context.Context, r *jobs.Run, place *export.Place, from *dump.Scratch, about export.Manifest, before int) (m *export.Manifest, err error) {
	names, err := dump.Files(from)
	if err != nil {
		return nil, err
	}
	names = append([]string{detailsFile}, slices.DeleteFunc(names, func(name string) bool { return name == detailsFile })...)
	size := from.Size()
	err = r.Step(ctx, storeStep, before+exportHalf, before+exportParts, func(ctx context.Context) error {
		m, err = place.Put(ctx, about, from.Data(), names, f.tell(ctx, r, before+exportHalf, exportHalf, before+exportParts, size))
		return err
	})
	return m, err
}

// tellPause is between two times that progress is noted.
const tellPause = 500 * time.Millisecond

// tell returns what notes progress: bytes of size are the part of share steps that come
// behind done steps, of total. What cannot be noted is not: the operation will find out.
func (f *Fleet) tell(ctx context.Context, r *jobs.Run, done, share, total int, size int64) func(bytes int64) {
	var last time.Time
	return func(bytes int64) {
		if size <= 0 || time.Since(last) < tellPause {
			return
		}
		last = time.Now()
		_ = r.Progress(ctx, done+int(min(bytes, size)*int64(share-1)/size), total)
	}
}
