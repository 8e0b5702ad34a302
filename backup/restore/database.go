package restore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"howdah/backup/base"
	"howdah/backup/repository"
	"howdah/wire/postgres"
)

// Database gets one database of a cluster as it was at a moment, as a dump: of the base
// backup only its part is fetched. All that is put on disk meanwhile is in a folder that
// only servers can enter, and is gone afterwards.
type Database struct {
	Repo      *repository.Repository
	Name      string // at the moment
	Superuser string // of the cluster; "" is postgres
	// OID is that of the database whose files are fetched; 0 is of the one that had the name
	// when the base backup was taken. If it turns out to be another that is meant, that one's
	// are fetched instead.
	OID uint32
	// Find, if not nil, says which database is meant, and not Name. It is asked on the server
	// that has recovered. ErrNoDatabase is none.
	Find func(context.Context, *pgx.Conn) (oid uint32, name string, err error)
	// Look, if not nil, is called with a login to the database before it is dumped.
	Look     func(context.Context, *pgx.Conn) error
	Into     string // absolute: a folder that is not there yet, for pg_restore
	Binaries postgres.Binaries
	Get      []string // this and the next: as in Cluster
	Scratch  string
	Jobs     int // of pg_dump at a time; 0 is one
	// Progress, if not nil, is told how far each part is, by one goroutine at a time: Fetch
	// and Recover in bytes. Of Dump and Check it is told that they begin.
	Progress func(part string, p base.Progress)

	name string // at the moment, when that is known
}

// The parts of a restore.
const (
	Fetch   = "fetch the base backup"
	Recover = "recover"
	Dump    = "dump"
	Check   = "check indexes"
)

// ErrNoDatabase is of a database that was not there at the moment.
var ErrNoDatabase = errors.New("restore: there was no such database then")

// errOther is of a database whose files were not fetched: another had its name when the
// base backup was taken.
var errOther = errors.New("its name was another database's when the base backup was taken")

// errCopied is of a database that was made as a copy of the files of another, which were not
// fetched: then there is nothing of it.
var errCopied = errors.New("it was made as a copy of another's files, which are not there")

// Run makes the dump.
func (d *Database) Run(ctx context.Context, p *Plan) error {
	if err := os.Mkdir(d.Into, 0o700); err != nil {
		return fmt.Errorf("make the folder of the dump, which must not be there yet: %w", err)
	}
	err := d.run(ctx, p)
	if err != nil {
		err = errors.Join(fmt.Errorf("restore %s to %s: %w", d.called(), p.Target, err), os.RemoveAll(d.Into))
	}
	return err
}

// called is what errors call it.
func (d *Database) called() string {
	if name := cmp.Or(d.name, d.Name); name != "" {
		return fmt.Sprintf("database %q", name)
	}
	return "a database"
}

// run makes the dump; where the target turns out to be before the base backup, from the one
// before that.
func (d *Database) run(ctx context.Context, p *Plan) error {
	for {
		err := d.from(ctx, p)
		if !p.begunTooLate(ctx, d.Repo, err) {
			return err
		}
	}
}

// from makes the dump with the plan's base backup.
func (d *Database) from(ctx context.Context, p *Plan) error {
	d.name = d.Name
	want := d.fetched(p.Base)
	oid, err := d.attempt(ctx, p, want)
	if errors.Is(err, errOther) {
		_, err = d.attempt(ctx, p, oid)
	}
	if errors.Is(err, errCopied) { // nobody knows of which
		_, err = d.attempt(ctx, p, everyOne)
	}
	return err
}

// everyOne stands for the OIDs of all databases of a base backup.
const everyOne = ^uint32(0)

// fetched returns the OID of the database that is meant, if the base backup has it: 0 is
// that it was made later, and all of it is in the WAL.
func (d *Database) fetched(m *base.Manifest) uint32 {
	if d.OID != 0 {
		if _, ok := m.DatabasesAtStart[d.OID]; !ok && m.DatabasesAtEnd[d.OID] == "" {
			return 0
		}
		return d.OID
	}
	for _, names := range []map[uint32]string{m.DatabasesAtEnd, m.DatabasesAtStart} {
		for oid, name := range names {
			if name == d.Name && name != "" {
				return oid
			}
		}
	}
	return 0
}

// shared are databases that a server cannot do without, or is logged in to: template1,
// template0 and postgres, by the OIDs that initdb gives them since PostgreSQL 15.
func shared() []uint32 { return []uint32{1, 4, 5} }

// attempt restores with the files of one database, and returns the OID of the one that has
// the name at the moment.
func (d *Database) attempt(ctx context.Context, p *Plan, want uint32) (oid uint32, err error) {
	scratch, err := postgres.MakeServerScratch(postgres.ScratchRoot(d.Scratch), nil)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, scratch.Remove()) }()
	keep := d.kept(p.Base, want)
	dir := filepath.Join(scratch.Dir, "data")
	err = p.unpack(ctx, d.Repo, d.Binaries, dir, base.UnpackOptions{
		Only: func(oid uint32) bool { return slices.Contains(keep, oid) }, Chown: postgres.OwnScratch, Progress: d.part(Fetch),
	})
	if err != nil {
		return 0, err
	}
	r := &recovery{
		binaries: d.Binaries, dir: dir, beside: scratch.Dir, timeline: p.Timeline, segment: p.Identity.Segment, extra: partial(d.Binaries.Major),
		hba:      scratchHBA,
		progress: d.part(Recover),
	}
	s, err := r.serveAndRun(ctx, d.Repo, p, d.Get)
	if err != nil {
		return 0, err
	}
	defer s.Kill() // nobody wants what it has
	oid, err = d.find(ctx, s, p.Base, keep)
	if err == nil {
		kept := append(keep, oid)
		err = r.gate(func(oid uint32) bool { return slices.Contains(kept, oid) })
	}
	if err == nil && d.Look != nil {
		err = d.look(ctx, s)
	}
	if err == nil {
		err = d.dump(ctx, s) // before the check, which makes an extension
	}
	if err == nil {
		err = d.check(ctx, s)
	}
	return oid, err
}

// scratchHBA is the pg_hba.conf of a server whose socket is in a folder that nobody else can
// enter.
const scratchHBA = "local all all trust\n"

// part returns what is told how far a part is.
func (d *Database) part(name string) func(base.Progress) {
	if d.Progress == nil {
		return nil
	}
	return func(p base.Progress) { d.Progress(name, p) }
}

func (d *Database) begin(part string) {
	if d.Progress != nil {
		d.Progress(part, base.Progress{})
	}
}

// look has the caller see the database, when nothing in it has run yet.
func (d *Database) look(ctx context.Context, s *postgres.Server) error {
	conn, err := d.connect(ctx, s, d.name)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return d.Look(ctx, conn)
}

// kept are the databases whose files are fetched.
func (d *Database) kept(m *base.Manifest, want uint32) []uint32 {
	keep := shared()
	if want == everyOne {
		keep = slices.AppendSeq(keep, maps.Keys(m.DatabasesAtStart))
		return slices.AppendSeq(keep, maps.Keys(m.DatabasesAtEnd))
	}
	for oid, name := range m.DatabasesAtEnd {
		if name == "postgres" && !slices.Contains(keep, oid) { // dropped and made again once
			keep = append(keep, oid)
		}
	}
	if want != 0 {
		keep = append(keep, want)
	}
	return keep
}

// partial are settings of a server that lacks the files of databases that nobody asks for:
// what WAL says of them is read over.
func partial(major int) map[string]string {
	s := map[string]string{
		"ignore_invalid_pages": "on", "autovacuum_freeze_max_age": "2000000000", "autovacuum_multixact_freeze_max_age": "2000000000",
		"max_connections": "50",
	}
	if major >= 17 {
		s["event_triggers"] = "off"
	}
	return s
}

func (d *Database) connect(ctx context.Context, s *postgres.Server, database string) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig("")
	if err != nil {
		return nil, err
	}
	config.Host, config.Port, config.User, config.Database = s.SocketDir(), uint16(s.Port()), d.superuser(), database
	config.TLSConfig, config.Fallbacks = nil, nil
	// These go before what somebody has set for the database: whose it is might have his
	// own operators be used, with a superuser's rights, or have the login do nothing.
	config.RuntimeParams = map[string]string{
		"search_path": "pg_catalog", "role": "none", "default_transaction_read_only": "off", "statement_timeout": "0", "lock_timeout": "0",
		"session_replication_role": "origin",
	}
	return pgx.ConnectConfig(ctx, config)
}

func (d *Database) superuser() string {
	if d.Superuser == "" {
		return postgres.Superuser
	}
	return d.Superuser
}

// find returns the OID that the database has, and lets nobody into those whose files are
// not there: to log in to one can bring the server down.
func (d *Database) find(ctx context.Context, s *postgres.Server, m *base.Manifest, keep []uint32) (oid uint32, err error) {
	conn, err := d.connect(ctx, s, "postgres")
	if err != nil {
		return 0, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if d.Find != nil {
		oid, d.name, err = d.Find(ctx, conn)
	} else {
		err = conn.QueryRow(ctx, "select oid from pg_catalog.pg_database where datname = $1", d.Name).Scan(&oid)
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, ErrNoDatabase
	}
	if err != nil {
		return 0, err
	}
	_, before := m.DatabasesAtStart[oid]
	_, after := m.DatabasesAtEnd[oid]
	if (before || after) && !slices.Contains(keep, oid) {
		return oid, errOther
	}
	if !slices.Contains(keep, oid) && !hasFiles(s.Dir(), oid) {
		return oid, errCopied
	}
	_, err = conn.Exec(ctx, "update pg_catalog.pg_database set datallowconn = (oid = any ($1))", append(slices.Clone(keep), oid))
	return oid, err
}

// hasFiles reports whether a data directory has those files of a database without which there
// is none: of a copy of what is not there it has a folder alone.
func hasFiles(dir string, oid uint32) bool {
	for _, folder := range []string{"base", filepath.Join("pg_tblspc", "*", "*")} {
		files, _ := filepath.Glob(filepath.Join(dir, folder, strconv.Itoa(int(oid)), "PG_VERSION")) // the pattern is valid
		if len(files) > 0 {
			return true
		}
	}
	return false
}

// check has the server compare each index with itself: what is missing shows there.
func (d *Database) check(ctx context.Context, s *postgres.Server) error {
	d.begin(Check)
	conn, err := d.connect(ctx, s, d.name)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	// In a schema of its own: the tenant's may have functions of these names.
	for _, sql := range []string{
		"drop schema if exists howdah_check cascade", "create schema howdah_check", "drop extension if exists amcheck", "create extension amcheck schema howdah_check",
	} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("prepare to check indexes: %w", err)
		}
	}
	rows, err := conn.Query(ctx, `select c.oid, c.oid::pg_catalog.regclass::text from pg_catalog.pg_index i
		join pg_catalog.pg_class c on c.oid = i.indexrelid join pg_catalog.pg_am a on a.oid = c.relam
		where a.amname = 'btree' and c.relkind = 'i' and c.relpersistence = 'p' and i.indisready and i.indisvalid order by 1`)
	if err != nil {
		return err
	}
	indexes, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct {
		OID  uint32
		Name string
	}])
	if err != nil {
		return err
	}
	for _, i := range indexes {
		if _, err := conn.Exec(ctx, "select howdah_check.bt_index_check($1::oid::pg_catalog.regclass)", i.OID); err != nil {
			return fmt.Errorf("index %s: %w", i.Name, err)
		}
	}
	if _, err = conn.Exec(ctx, "drop extension amcheck"); err == nil {
		_, err = conn.Exec(ctx, "drop schema howdah_check")
	}
	return err
}

// dump writes the database to Into.
func (d *Database) dump(ctx context.Context, s *postgres.Server) error {
	d.begin(Dump)
	return d.dumpAs(ctx, s, "directory", "--jobs="+strconv.Itoa(max(d.Jobs, 1)))
}

// dumpAs writes a dump in one of pg_dump's formats.
func (d *Database) dumpAs(ctx context.Context, s *postgres.Server, format string, more ...string) error {
	args := append([]string{
		"--format=" + format, "--no-password", "--host=" + s.SocketDir(), "--port=" + strconv.Itoa(s.Port()),
		"--username=" + d.superuser(), "--file=" + d.Into, "--dbname=" + connectionName(d.name),
	}, more...)
	return program(ctx, d.Binaries, "pg_dump", args, "PGOPTIONS=-c search_path=pg_catalog -c role=none -c default_transaction_read_only=off -c statement_timeout=0 -c lock_timeout=0")
}

// program runs one of PostgreSQL's, and says what it has said if it fails.
func program(ctx context.Context, binaries postgres.Binaries, name string, args []string, environ ...string) error {
	var said strings.Builder
	cmd := exec.CommandContext(ctx, binaries.Path(name), args...)
	cmd.Env, cmd.Stderr = append(postgres.CleanEnviron(os.Environ()), environ...), &said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(said.String()))
	}
	return nil
}

// connectionName makes a database's name one that programs do not take for a connection
// string.
func connectionName(name string) string {
	return "dbname='" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(name) + "'"
}
