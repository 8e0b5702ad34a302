package dump

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"howdah/wire/postgres"
)

// In is a dump to be restored.
type In struct {
	Tools postgres.Binaries // of the target server's major version
	Into  Login             // the tenant's role, in the prepared database
	Jobs  int               // at once; 0 is 2
	// As is a role of which that one is a member: all becomes its; "" is the one that logs in.
	As string
	// Privileges restores what is granted to others than the owner: their roles must
	// be there.
	Privileges bool
	// Progress, if not nil, is told now and then how many bytes the database has grown.
	Progress func(bytes int64)
}

// Connections is how many connections a restore with that many jobs needs at most.
func Connections(n int) int { return jobs(n) + 2 }

// Restore restores the dump in the scratch folder's Data. All becomes the role's that
// logs in, or In's As. What the database has already (extensions, schema public) is left as it is.
// It ends at the first error, which is ErrContents or ErrServerFull, or at the end of ctx;
// then the database is half full, and good for nothing.
func Restore(ctx context.Context, o In, from *Scratch) error {
	name := o.Into["dbname"]
	conn, err := pgx.Connect(ctx, o.Into.String())
	if err != nil {
		return fmt.Errorf("log in to database %q as role %q: %w", name, o.Into["user"], err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	there, size, err := prepared(ctx, conn)
	if err != nil {
		return fmt.Errorf("look at database %q: %w", name, err)
	}
	if err := checkFiles(from); err != nil {
		return err
	}
	list, err := writeList(ctx, o.Tools, from, there)
	if err != nil {
		return err
	}
	format, path := from.archive()
	args := []string{
		"--format=" + format, "--dbname=" + name, "--jobs=" + strconv.Itoa(jobs(o.Jobs)), "--use-list=" + list,
		"--exit-on-error", "--no-owner", "--no-tablespaces", "--no-publications", "--no-subscriptions", "--no-security-labels",
	}
	if !o.Privileges {
		args = append(args, "--no-privileges")
	}
	if o.As != "" {
		args = append(args, "--role="+o.As)
	}
	stop := watch(o.Progress, func() int64 {
		asking, asked := context.WithTimeout(context.WithoutCancel(ctx), watchPause)
		defer asked()
		if now, err := databaseSize(asking, conn); err == nil {
			return now - size
		}
		return 0
	})
	p := program{tools: o.Tools, name: "pg_restore", args: append(args, path), login: o.Into, scratch: from}
	_, err = p.run(ctx)
	stop()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("restore into database %q: %w", name, context.Cause(ctx))
	case errors.Is(err, ErrNoSpace): // it reads files, and writes none
		return fmt.Errorf("restore into database %q: %w: %w", name, ErrServerFull, err)
	case alive(conn):
		return fmt.Errorf("restore into database %q: %w: %w", name, ErrContents, err)
	}
	return fmt.Errorf("restore into database %q: %w", name, err)
}

// alive reports whether the server still answers: then it was the dump that was wrong.
func alive(conn *pgx.Conn) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return conn.Ping(ctx) == nil
}

// prepared returns the extensions that a database has, and its size.
func prepared(ctx context.Context, conn *pgx.Conn) (extensions []string, size int64, err error) {
	rows, err := conn.Query(ctx, "select extname::text from pg_catalog.pg_extension")
	if err != nil {
		return nil, 0, err
	}
	if extensions, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
		return nil, 0, err
	}
	size, err = databaseSize(ctx, conn)
	return extensions, size, err
}

func databaseSize(ctx context.Context, conn *pgx.Conn) (size int64, err error) {
	err = conn.QueryRow(ctx, "select pg_catalog.pg_database_size(pg_catalog.current_database())").Scan(&size)
	return size, err
}

// writeList writes the list of what is to be restored, and returns its path.
func writeList(ctx context.Context, tools postgres.Binaries, from *Scratch, extensions []string) (string, error) {
	_, archive := from.archive()
	p := program{tools: tools, name: "pg_restore", args: []string{"--list", archive}, scratch: from}
	text, err := p.run(ctx)
	if err != nil && ctx.Err() == nil {
		return "", fmt.Errorf("read the dump's table of contents: %w: %w", ErrContents, err)
	} else if err != nil {
		return "", err
	}
	path := from.file("list")
	return path, os.WriteFile(path, []byte(chosen(text, extensions)), 0o600)
}

// chosen leaves out of a table of contents what a prepared database has.
func chosen(list string, extensions []string) string {
	var kept strings.Builder
	for line := range strings.Lines(list) {
		if !isPrepared(line, extensions) {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// isPrepared judges a line such as "7; 3079 16389 EXTENSION - pg_trgm " or
// "3406; 0 0 COMMENT - EXTENSION pg_trgm ".
func isPrepared(line string, extensions []string) bool {
	words := strings.Fields(line)
	if len(words) < 6 || words[4] != "-" {
		return false
	}
	what, name := words[3], words[5]
	if (what == "COMMENT" || what == "ACL") && len(words) > 6 {
		what, name = words[5], words[6]
	}
	switch what {
	case "EXTENSION":
		return slices.Contains(extensions, name)
	case "SCHEMA":
		return name == "public"
	}
	return false
}
