package move

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"howdah/provision"
)

// Facts are what a tenant's database is, that another must be too.
type Facts struct {
	provision.Locale
	Provider        string // of the locale: "c" is the C library
	Extensions      []string
	Verifier        string // of the role
	Settings        []provision.Setting
	ConnectionLimit int
	Attributes      provision.Attributes // of the role
	Size            int64                // bytes
	Tables          int
	// Unreplicable says why the contents cannot be replicated, empty if they can.
	Unreplicable []string
}

// obstacle is something that keeps contents from being moved: a query for the names of
// what does, and what is said of them.
type obstacle struct{ says, sql string }

// Whatever way it goes, a dump as the tenant's role makes everything that role's. $1 is
// the role, $2 the move's name.
var always = []obstacle{
	{"these are not role %q's, or others than it have rights on them", `
		SELECT DISTINCT format('%s (%s)', pg_describe_object(classid, objid, objsubid), pg_get_userbyid(refobjid))
		FROM pg_shdepend s WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
			AND refclassid = 'pg_authid'::regclass AND refobjid <> $1::regrole AND pg_get_userbyid(refobjid) !~ '^pg_' AND $2 <> ''
			AND classid NOT IN ('pg_extension'::regclass, 'pg_publication'::regclass) -- the target has its own; they are looked for below
			AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = s.classid AND d.objid = s.objid AND deptype = 'e')
		UNION SELECT format('database (%s)', pg_get_userbyid(grantee)) FROM pg_database, aclexplode(datacl)
			WHERE datname = current_database() AND grantee NOT IN (0, datdba)
		UNION SELECT pg_describe_object(o.classid, o.objid, 0) FROM (
			SELECT 'pg_class'::regclass, oid, relowner, relnamespace FROM pg_class WHERE relkind <> 'i' AND relkind <> 'I'
			UNION ALL SELECT 'pg_proc'::regclass, oid, proowner, pronamespace FROM pg_proc
			UNION ALL SELECT 'pg_namespace'::regclass, oid, nspowner, oid FROM pg_namespace WHERE nspname <> 'public'
		) o(classid, objid, owner, space) JOIN pg_namespace n ON n.oid = space
		WHERE owner <> $1::regrole AND nspname !~ '^pg_' AND nspname <> 'information_schema'
			AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = o.classid AND d.objid = o.objid AND deptype = 'e')`},
	{"only a superuser of the target could make these (role %q cannot)", `
		SELECT 'event trigger ' || evtname FROM pg_event_trigger WHERE $1 <> '' AND $2 <> ''
		UNION ALL SELECT 'foreign server ' || srvname FROM pg_foreign_server
		UNION ALL SELECT 'language ' || lanname FROM pg_language l WHERE oid >= 16384
			AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_language'::regclass AND d.objid = l.oid AND deptype = 'e')`},
	{"extensions outside schema public are not moved (role %q)", `
		SELECT extname::text FROM pg_extension WHERE extname <> 'plpgsql' AND extnamespace <> 'public'::regnamespace AND $1 <> '' AND $2 <> ''`},
	{"these read or follow changes and would not be moved along (role %q)", `
		SELECT 'replication slot ' || slot_name FROM pg_replication_slots WHERE database = current_database() AND slot_name <> $2
			AND slot_name !~ '^pg_[0-9]+_sync_[0-9]+_[0-9]+$'
		UNION ALL SELECT 'subscription ' || subname FROM pg_subscription WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND $1 <> ''
		UNION ALL SELECT 'publication ' || pubname FROM pg_publication WHERE pubname <> $2`},
	{"role %q has what is not moved along", `
		SELECT 'attribute ' || a FROM pg_roles, unnest(ARRAY[CASE WHEN rolsuper THEN 'SUPERUSER' END, CASE WHEN rolcreaterole THEN 'CREATEROLE' END,
			CASE WHEN rolreplication THEN 'REPLICATION' END, CASE WHEN rolbypassrls THEN 'BYPASSRLS' END]) a
			WHERE oid = $1::regrole AND a IS NOT NULL AND $2 <> ''
		UNION ALL SELECT 'membership in ' || roleid::regrole FROM pg_auth_members WHERE member = $1::regrole
		UNION ALL SELECT 'member ' || member::regrole FROM pg_auth_members WHERE roleid = $1::regrole`},
}

// What logical replication does not carry.
var replicating = []obstacle{
	{"unlogged tables", "SELECT name FROM (" + tables + ") t WHERE persistence = 'u' AND $1 <> '' AND $2 <> ''"},
	{"tables without a key that have columns whose values cannot be compared", `
		SELECT u.name || '.' || attname FROM (` + unidentified + `) u(name, identity, index) JOIN pg_attribute a ON attrelid = u.name::regclass
			JOIN pg_type t ON t.oid = atttypid LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typcategory = 'A' LEFT JOIN pg_type b ON b.oid = t.typbasetype
		WHERE u.index = '' AND attnum > 0 AND NOT attisdropped AND $1 <> '' AND $2 <> ''
			AND coalesce(e.typname, b.typname, t.typname) IN ('json', 'xml', 'point', 'lseg', 'path', 'box', 'polygon', 'line', 'circle')`},
	{"tables without a key but with generated columns, by which rows would be told apart", `
		SELECT DISTINCT u.name FROM (` + unidentified + `) u(name, identity, index) JOIN pg_attribute a ON attrelid = u.name::regclass
		WHERE u.index = '' AND attgenerated <> '' AND $1 <> '' AND $2 <> ''`},
	{"triggers and rules that replicated rows would fire", `
		SELECT format('%s on %s', tgname, tgrelid::regclass) FROM pg_trigger WHERE tgenabled IN ('A', 'R') AND $1 <> '' AND $2 <> ''
		UNION ALL SELECT format('%s on %s', rulename, ev_class::regclass) FROM pg_rewrite WHERE ev_enabled IN ('A', 'R')`},
	{
		"extensions that keep rows of the tenant's in tables of their own",
		"SELECT extname::text FROM pg_extension WHERE extconfig IS NOT NULL AND $1 <> '' AND $2 <> ''",
	},
	{fmt.Sprintf("more than %d large objects, or %d MB of them", maxLarge, maxLargeBytes>>20), fmt.Sprintf(`
		SELECT count(*) || ' large objects' FROM pg_largeobject_metadata WHERE $1 <> '' AND $2 <> ''
		HAVING count(*) > %d OR pg_table_size('pg_largeobject') > %d`, maxLarge, maxLargeBytes+maxLargeBytes/2)},
	{
		"large objects with rights of their own",
		"SELECT oid::text FROM pg_largeobject_metadata WHERE lomacl IS NOT NULL AND $1 <> '' AND $2 <> ''",
	},
}

// Look reads what the tenant's database is, and is ErrRefused if it cannot be moved.
func (m *Move) Look(ctx context.Context) (f Facts, err error) {
	var source, target server
	err = Within(ctx, m.From, m.Database, func(conn *pgx.Conn) error {
		if err := source.read(ctx, conn); err != nil {
			return err
		}
		if err := f.Read(ctx, conn, m.Role); err != nil {
			return err
		}
		if err := f.movable(m.Role); err != nil {
			return err
		}
		stands, err := obstacles(ctx, conn, always, m.Role, m.name())
		if err == nil && len(stands) > 0 {
			err = refused("%s", strings.Join(stands, "; "))
		}
		if err != nil {
			return err
		}
		f.Unreplicable, err = obstacles(ctx, conn, replicating, m.Role, m.name())
		return err
	})
	if err != nil {
		return f, err
	}
	err = Within(ctx, m.To, "", func(conn *pgx.Conn) error {
		if err := target.read(ctx, conn); err != nil {
			return err
		}
		missing, err := texts(ctx, conn, "SELECT e FROM unnest($1::text[]) e WHERE e NOT IN (SELECT name FROM pg_available_extensions)", f.Extensions)
		if err == nil && len(missing) > 0 {
			err = refused("the target has no extension %s: install its package there", strings.Join(missing, ", "))
		}
		return err
	})
	if err != nil {
		return f, err
	}
	if err := source.fits(&target); err != nil {
		return f, err
	}
	f.Unreplicable = append(source.cannotSend(), append(target.cannotFollow(), f.Unreplicable...)...)
	return f, nil
}

// server is what matters of a cluster.
type server struct {
	Version         int
	Identifier      string
	WALLevel        string
	Slots, Senders  int // that are free
	Workers, Origin int
}

func (s *server) read(ctx context.Context, conn *pgx.Conn) error {
	return conn.QueryRow(ctx, `SELECT current_setting('server_version_num')::int, system_identifier::text, current_setting('wal_level'),
		current_setting('max_replication_slots')::int - (SELECT count(*) FROM pg_replication_slots),
		current_setting('max_wal_senders')::int - (SELECT count(*) FROM pg_stat_replication),
		current_setting('max_logical_replication_workers')::int - (SELECT count(*) FROM pg_subscription WHERE subenabled),
		coalesce(current_setting('max_active_replication_origins', true), current_setting('max_replication_slots'))::int - (SELECT count(*) FROM pg_replication_origin)
		FROM pg_control_system()`).Scan(&s.Version, &s.Identifier, &s.WALLevel, &s.Slots, &s.Senders, &s.Workers, &s.Origin)
}

func (s *server) fits(target *server) error {
	switch {
	case s.Identifier == target.Identifier:
		return refused("both clusters are the same PostgreSQL server")
	case s.Version/10000 > target.Version/10000:
		return refused("the target has PostgreSQL %d, the source %d: a move to an older one is not possible", target.Version/10000, s.Version/10000)
	}
	return nil
}

// spare is how many slots, senders and workers a move uses: for the changes, and for
// tables that are copied, two at once by PostgreSQL's default.
const spare = 3

func (s *server) cannotSend() (why []string) {
	if s.WALLevel != "logical" {
		why = append(why, fmt.Sprintf("the source has wal_level = %s: set it to logical, and restart it", s.WALLevel))
	}
	if s.Slots < spare || s.Senders < spare {
		why = append(why, fmt.Sprintf("the source has %d replication slots and %d WAL senders free, and %d are needed: raise max_replication_slots or max_wal_senders", s.Slots, s.Senders, spare))
	}
	return why
}

func (s *server) cannotFollow() (why []string) {
	if s.Workers < spare || s.Origin < spare {
		why = append(why, fmt.Sprintf("the target has %d logical replication workers and %d replication origins free, and %d are needed: raise max_logical_replication_workers or max_replication_slots", s.Workers, s.Origin, spare))
	}
	return why
}

// Verifier returns the secret of the tenant's role at the source.
func (m *Move) Verifier(ctx context.Context) (verifier string, err error) {
	err = Within(ctx, m.From, "", func(conn *pgx.Conn) error {
		return conn.QueryRow(ctx, "SELECT coalesce(rolpassword, '') FROM pg_authid WHERE rolname = $1", m.Role).Scan(&verifier)
	})
	return verifier, err
}

// movable is ErrRefused where what was read keeps the tenant from being moved.
func (f *Facts) movable(role string) error {
	if f.Provider != "c" {
		return refused("its locale is not the C library's (provider %s)", f.Provider)
	}
	if !strings.HasPrefix(f.Verifier, "SCRAM-SHA-256$") {
		return refused("role %q has no SCRAM secret: set its password again", role)
	}
	return nil
}

// OnlySuperusers says what the database has that conn is in, of which a dump can be
// restored by a superuser alone. role is whose it is.
func OnlySuperusers(ctx context.Context, conn *pgx.Conn, role string) (why []string, err error) {
	return obstacles(ctx, conn, always[1:3], role, "none")
}

// Read reads all but what makes contents unreplicable of the database that conn is in,
// which is the role's. No name means anything there but PostgreSQL's own object.
func (f *Facts) Read(ctx context.Context, conn *pgx.Conn, role string) error {
	provider := "'c'"
	if version(conn) >= 150000 {
		provider = "datlocprovider::text"
	}
	err := conn.QueryRow(ctx, `SELECT pg_encoding_to_char(encoding), datcollate, datctype, datconnlimit, pg_database_size(oid), `+provider+`,
		coalesce((SELECT rolpassword FROM pg_authid WHERE rolname = $1), ''), (SELECT count(*) FROM (`+tables+`) t)
		FROM pg_database WHERE datname = current_database()`, role).
		Scan(&f.Encoding, &f.Collate, &f.CType, &f.ConnectionLimit, &f.Size, &f.Provider, &f.Verifier, &f.Tables)
	if err != nil {
		return fmt.Errorf("look at database: %w", err)
	}
	err = conn.QueryRow(ctx, "SELECT rolcreatedb, rolconnlimit, coalesce(rolvaliduntil::text, '') FROM pg_roles WHERE rolname = $1", role).
		Scan(&f.Attributes.CreateDB, &f.Attributes.ConnectionLimit, &f.Attributes.ValidUntil)
	if err != nil {
		return fmt.Errorf("look at role %q: %w", role, err)
	}
	f.Extensions, err = texts(ctx, conn, "SELECT extname::text FROM pg_extension WHERE extname <> 'plpgsql' ORDER BY 1")
	if err != nil {
		return fmt.Errorf("list extensions: %w", err)
	}
	rows, err := conn.Query(ctx, `SELECT CASE WHEN setrole = 0 THEN 'database' WHEN setdatabase = 0 THEN 'role' ELSE 'role in database' END,
		split_part(c, '=', 1), substr(c, strpos(c, '=') + 1)
		FROM pg_db_role_setting, unnest(setconfig) c
		WHERE setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database())) AND setrole IN (0, $1::regrole)
			AND (setdatabase, setrole) <> (0, 0) ORDER BY 1, 2`, quote(role))
	if err != nil {
		return fmt.Errorf("list settings: %w", err)
	}
	f.Settings, err = pgx.CollectRows(rows, pgx.RowToStructByPos[provision.Setting])
	return err
}

// version returns the server's, as server_version_num has it, without the minor one.
func version(conn *pgx.Conn) int {
	var major int
	_, _ = fmt.Sscan(conn.PgConn().ParameterStatus("server_version"), &major) // "15.18 (Debian …)"
	return major * 10000
}

// told is how many names are told of what stands in the way.
const told = 5

// obstacles says which there are.
func obstacles(ctx context.Context, conn *pgx.Conn, all []obstacle, role, name string) (why []string, err error) {
	for _, o := range all {
		names, err := texts(ctx, conn, "SELECT x.n::text FROM ("+o.sql+") x(n) ORDER BY 1", quote(role), name)
		if err != nil {
			return nil, fmt.Errorf("look for what cannot be moved: %w", err)
		}
		if len(names) == 0 {
			continue
		}
		says := o.says
		if strings.Contains(says, "%q") {
			says = fmt.Sprintf(says, role)
		}
		if more := len(names) - told; more > 0 {
			names = append(names[:told], fmt.Sprintf("and %d more", more))
		}
		why = append(why, says+": "+strings.Join(names, ", "))
	}
	return why, nil
}
