package base

import (
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// askedWithin is how long a server may take to tell its configuration.
const askedWithin = time.Minute

// ConfigurationOf reads the configuration of a server: the files that it reads when it
// starts, wherever they are. Whatever goes wrong is told in what it returns: no base backup
// fails by that. connect logs in as who may read files; system is whose it is to be.
func ConfigurationOf(ctx context.Context, connect func(context.Context) (*pgx.Conn, error), system string) *Configuration {
	ctx, cancel := context.WithTimeout(ctx, askedWithin)
	defer cancel()
	c := &configured{seen: map[string]bool{}}
	c.missing(c.read(ctx, connect, system))
	c.Missing = strings.Join(c.bad, "; ")
	return &c.Configuration
}

// configured is a configuration that is being read.
type configured struct {
	Configuration
	conn *pgx.Conn
	data string // the data directory
	seen map[string]bool
	size int
	bad  []string
}

// mostMissing is about how many things are told that could not be read.
const mostMissing = 5

func (c *configured) missing(err error) {
	if err != nil && len(c.bad) < mostMissing {
		c.bad = append(c.bad, strings.ReplaceAll(err.Error(), "\n", " "))
	}
}

// oldestIncluding is the oldest version in which pg_hba.conf and pg_ident.conf can include
// other files.
const oldestIncluding = 16

func (c *configured) read(ctx context.Context, connect func(context.Context) (*pgx.Conn, error), system string) (err error) {
	if c.conn, err = connect(ctx); err != nil {
		return notAsked(err)
	}
	defer c.conn.Close(context.WithoutCancel(ctx))
	var is, conf, hba, ident string
	var version int
	err = c.conn.QueryRow(ctx, `select (select system_identifier::text from pg_catalog.pg_control_system()), current_setting('server_version_num')::int,
		current_setting('data_directory'), current_setting('config_file'), current_setting('hba_file'), current_setting('ident_file')`).
		Scan(&is, &version, &c.data, &conf, &hba, &ident)
	switch {
	case err != nil:
		return needsRights("where it is", err)
	case is != system:
		return fmt.Errorf("admin_url leads to the system %s, and the base backup is of %s", is, system)
	}
	c.file(ctx, conf, false)
	c.file(ctx, hba, true)
	c.file(ctx, ident, true)
	views := map[string]bool{"select distinct sourcefile from pg_catalog.pg_file_settings where sourcefile is not null": false}
	if version/10000 >= oldestIncluding {
		views["select distinct file_name from pg_catalog.pg_hba_file_rules where file_name is not null"] = true
		views["select distinct file_name from pg_catalog.pg_ident_file_mappings where file_name is not null"] = true
	}
	for query, people := range views {
		rows, err := c.conn.Query(ctx, query)
		if err != nil {
			c.missing(needsRights("which files are included", err))
			continue
		}
		names, err := pgx.CollectRows(rows, pgx.RowTo[string])
		c.missing(needsRights("which files are included", err))
		for _, name := range names {
			c.file(ctx, name, people)
		}
	}
	return nil
}

// notAsked says why the server cannot be asked, without saying who was to ask: everybody
// who reads the store may read it.
func notAsked(err error) error {
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		return fmt.Errorf("the server that admin_url leads to does not let us in: SQLSTATE %s", refused.Code)
	}
	return errors.New("the server that admin_url leads to cannot be reached")
}

// needsRights says what could not be read, and what would help.
func needsRights(what string, err error) error {
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == "42501" {
		return fmt.Errorf("%s cannot be read (%s): the role of admin_url must be a superuser, or have pg_read_all_settings, pg_read_server_files and EXECUTE on the functions", what, refused.Message)
	}
	if err != nil {
		return fmt.Errorf("%s cannot be read: %w", what, err)
	}
	return nil
}

// file reads a file, and those that it includes. people says that it is about who may log
// in: such files name others by an @ too.
func (c *configured) file(ctx context.Context, name string, people bool) {
	if name = path.Clean(name); c.seen[name] || !path.IsAbs(name) {
		return
	}
	c.seen[name] = true
	var text []byte // nil: there is none
	room := MostConfiguration - c.size
	err := c.conn.QueryRow(ctx, "select pg_catalog.pg_read_binary_file($1, 0, $2, true)", name, room+1).Scan(&text)
	switch {
	case err != nil:
		c.missing(needsRights(name, err))
		return
	case len(text) > room:
		c.missing(fmt.Errorf("%s is not taken: all files together have more than %d bytes", name, MostConfiguration))
		return
	case text == nil:
		return
	}
	c.size += len(text)
	c.add(ConfigurationFile{Path: name, Text: text})
	for _, i := range includes(string(text), people) {
		if i.name == "" {
			continue
		}
		if !path.IsAbs(i.name) {
			i.name = path.Join(path.Dir(name), i.name)
		}
		if i.folder {
			c.folder(ctx, path.Clean(i.name), people)
			continue
		}
		c.file(ctx, i.name, people)
	}
}

func (c *configured) add(f ConfigurationFile) {
	if rest, inside := strings.CutPrefix(f.Path, path.Clean(c.data)+"/"); inside {
		f.Inside = rest
	}
	c.Files = append(c.Files, f)
}

// folder reads what include_dir includes. Where it is empty it must be there too.
func (c *configured) folder(ctx context.Context, name string, people bool) {
	if c.seen[name] {
		return
	}
	c.seen[name] = true
	rows, err := c.conn.Query(ctx, "select pg_catalog.pg_ls_dir($1)", name)
	var names []string
	if err == nil {
		names, err = pgx.CollectRows(rows, pgx.RowTo[string])
	}
	if err != nil {
		c.missing(needsRights(name, err))
		return
	}
	c.add(ConfigurationFile{Path: name, Folder: true})
	for _, one := range names {
		if strings.HasSuffix(one, ".conf") && !strings.HasPrefix(one, ".") {
			c.file(ctx, path.Join(name, one), people)
		}
	}
}

// include is what a configuration file names.
type include struct {
	name   string
	folder bool
}

var (
	includeLine = regexp.MustCompile(`(?mi)^[ \t]*include(_dir|_if_exists)?[ \t]*=?[ \t]*('(?:[^'\n]|'')*'|"[^"\n]*"|[^\s'"#=,]+)`)
	atFile      = regexp.MustCompile(`(?:^|[\s,])@(?:"([^"]*)"|([^\s,"]+))`)
)

// includes returns what a file includes. The server's own views tell the same, but for files
// and folders in which nothing is set: without these it does not start either.
func includes(text string, people bool) (all []include) {
	for _, m := range includeLine.FindAllStringSubmatch(text, -1) {
		name := m[2]
		if quote := name[0]; quote == '\'' || quote == '"' {
			name = strings.ReplaceAll(name[1:len(name)-1], "''", "'")
		}
		all = append(all, include{name, strings.EqualFold(m[1], "_dir")})
	}
	if !people {
		return all
	}
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		for _, m := range atFile.FindAllStringSubmatch(line, -1) {
			all = append(all, include{name: m[1] + m[2]})
		}
	}
	return all
}
