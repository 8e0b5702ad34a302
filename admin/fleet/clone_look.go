package fleet

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"howdah/provision/dump"
	"howdah/provision/move"
)

// cloneFacts are what a copy of a database depends on.
type cloneFacts struct {
	move.Facts
	Relations  int    // that have files
	DumpSize   int64  // about, in bytes
	Uncopyable string // why it cannot be copied by template, "" if it can
	Undumpable string // why it cannot be dumped and restored
	version    int
}

// lookToClone looks at the source and at the cluster on which the clone is to be.
func (f *Fleet) lookToClone(ctx context.Context, p *cloning) (*cloneFacts, error) {
	from, err := f.adminLogin(p.Source.Cluster)
	if err != nil {
		return nil, err
	}
	var facts cloneFacts
	err = move.Within(ctx, from, p.Source.Database, func(conn *pgx.Conn) error { return facts.read(ctx, conn, p.Source.User) })
	if err != nil {
		return nil, fmt.Errorf("look at tenant %q: %w", p.Source.Name, err)
	}
	if p.Cluster != p.Source.Cluster {
		facts.Uncopyable = fmt.Sprintf("it is on cluster %q, not %q", p.Source.Cluster, p.Cluster)
	}
	return &facts, f.lookWhereto(ctx, p, &facts)
}

const ownRights = `SELECT pg_describe_object(classid, objid, objsubid) FROM pg_shdepend
	WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND refclassid = 'pg_authid'::regclass
		AND refobjid = (SELECT oid FROM pg_authid WHERE rolname = $1) AND (deptype <> 'o' OR classid = 'pg_default_acl'::regclass)
	UNION ALL SELECT pg_describe_object(classid, objid, objsubid) FROM pg_shdepend
	WHERE dbid = 0 AND classid <> 'pg_database'::regclass AND refclassid = 'pg_authid'::regclass
		AND refobjid = (SELECT oid FROM pg_authid WHERE rolname = $1) AND deptype = 'o' ORDER BY 1`

func (c *cloneFacts) read(ctx context.Context, conn *pgx.Conn, role string) error {
	if err := c.Read(ctx, conn, role); err != nil {
		return err
	}
	err := conn.QueryRow(ctx, `SELECT (SELECT count(*) FROM pg_class WHERE relfilenode <> 0), current_setting('server_version_num')::int`).Scan(&c.Relations, &c.version)
	if err != nil {
		return err
	}
	if c.DumpSize, err = dump.Estimate(ctx, conn); err != nil {
		return err
	}
	rows, err := conn.Query(ctx, ownRights, role)
	if err != nil {
		return err
	}
	rights, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	switch {
	case len(rights) > 0: // the copy would have them still
		c.Uncopyable = fmt.Sprintf("role %q has rights in it that are not an owner's, or owns more than databases: %s", role, short(rights))
	case c.version < 150000: // such a copy is not in the WAL, and waits for two checkpoints
		c.Uncopyable = "that needs PostgreSQL 15"
	}
	why, err := move.OnlySuperusers(ctx, conn, role)
	if err != nil {
		return err
	}
	if c.Provider != "c" {
		why = append(why, fmt.Sprintf("its locale is not the C library's (provider %s)", c.Provider))
	}
	c.Undumpable = strings.Join(why, "; ")
	return nil
}

// short tells the first of many.
func short(names []string) string {
	const told = 5
	if more := len(names) - told; more > 0 {
		names = append(names[:told:told], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(names, ", ")
}

// lookWhereto looks whether the cluster can have the clone.
func (f *Fleet) lookWhereto(ctx context.Context, p *cloning, facts *cloneFacts) error {
	conn, err := f.connect(ctx, p.Cluster)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var version int
	var missing []string
	err = conn.QueryRow(ctx, `select pg_catalog.current_setting('server_version_num')::int,
		(select coalesce(array_agg(e), '{}') from unnest($1::text[]) e where e not in (select name from pg_catalog.pg_available_extensions))`,
		facts.Extensions).Scan(&version, &missing)
	switch {
	case err != nil:
		return fmt.Errorf("look at cluster %q: %w", p.Cluster, err)
	case version/10000 < facts.version/10000:
		return invalid("cluster", "cluster %q has PostgreSQL %d, the source %d: a clone on an older one is not possible", p.Cluster, version/10000, facts.version/10000)
	case len(missing) > 0:
		return invalid("cluster", "cluster %q has no extension %s: install its package there", p.Cluster, strings.Join(missing, ", "))
	}
	return nil
}
