package filestore

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// table is where Odoo notes attachments, and column the names of their files.
const (
	table  = "ir_attachment"
	column = "store_fname"
)

// NamesInDump returns the names of the files that the database of a dump refers to, sorted;
// none if it is not Odoo's. pgRestore is the path of a pg_restore that reads the dump. No
// server is asked, so that nothing of what a tenant made is run. ErrTooMany is of names that
// have more than most bytes, which a tenant chooses; 0 takes any.
func NamesInDump(ctx context.Context, pgRestore, dump string, most int) ([]string, error) {
	cmd := exec.CommandContext(ctx, pgRestore, "--data-only", "--schema=public", "--table="+table, "--file=-", dump)
	var trouble bytes.Buffer
	cmd.Stderr = &trouble
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("read the names of files in dump %q: %w", dump, err)
	}
	names, err := namesInCopy(out, most)
	if err != nil {
		cmd.Process.Kill() // it would wait until somebody reads the rest
	}
	if waitErr := cmd.Wait(); err == nil && waitErr != nil {
		err = fmt.Errorf("%w: %s", waitErr, strings.TrimSpace(trouble.String()))
	}
	if err != nil {
		return nil, fmt.Errorf("read the names of files in dump %q: %w", dump, err)
	}
	return names, nil
}

// NamesInDatabase is NamesInDump for the database of a connection. That must be of a role to
// which the table is no secret, and may be of a superuser: what is copied is a table, of which
// nothing that a tenant has made is run. A table that somebody has locked is an error.
func NamesInDatabase(ctx context.Context, conn *pgx.Conn, most int) ([]string, error) {
	names, err := namesInDatabase(ctx, conn, most)
	if err != nil {
		err = fmt.Errorf("read the names of files in database %q: %w", conn.Config().Database, err)
	}
	return names, err
}

// lockFor is how long the table is waited for that somebody has locked, as an upgrade of Odoo
// does for hours, or who wants the reader to wait.
const lockFor = "2s"

// isTable asks whether there is such a table with such a column.
const isTable = `select exists (select from pg_catalog.pg_attribute a join pg_catalog.pg_class c on c.oid = a.attrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
	where n.nspname = 'public' and c.relname = $1 and c.relkind = 'r' and a.attname = $2 and not a.attisdropped)`

func namesInDatabase(ctx context.Context, conn *pgx.Conn, most int) ([]string, error) {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return nil, err
	}
	defer tx.Rollback(context.WithoutCancel(ctx))
	// Row security would run what the tenant has made: off is an error where it is to be.
	if _, err := tx.Exec(ctx, "set transaction read only; set local row_security = off; set local search_path = pg_catalog; set local statement_timeout = 0; set local lock_timeout = '"+lockFor+"'"); err != nil {
		return nil, err
	}
	var is bool
	if err := tx.QueryRow(ctx, isTable, pgx.QueryExecModeExec, table, column).Scan(&is); err != nil || !is {
		return nil, err
	}
	script, into := io.Pipe()
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		_, err := io.WriteString(into, copyStart+column+copyEnd+"\n")
		if err == nil {
			_, err = conn.PgConn().CopyTo(ctx, into, "copy public."+table+" ("+column+") to stdout")
		}
		if err == nil {
			_, err = io.WriteString(into, "\\.\n")
		}
		into.CloseWithError(err)
	}()
	names, err := namesInCopy(script, most)
	script.Close()
	<-copied
	return names, err
}

// ErrTooMany is of more names than are to be kept in memory.
var ErrTooMany = errors.New("the database refers to more files than fit into memory here")

// namesInCopy reads them from the COPY of the table in a script. A row may have gigabytes:
// of each no more is kept than a name has.
func namesInCopy(script io.Reader, most int) (names []string, err error) {
	in := bufio.NewReaderSize(script, 256<<10)
	at, err := findCopy(in)
	if err != nil || at < 0 {
		return nil, err
	}
	found, bytes := map[string]struct{}{}, 0
	for {
		name, err := field(in, at)
		switch {
		case err != nil:
			return nil, fmt.Errorf("the rows of %s break off: %w", table, err)
		case name == `\.`:
			for name := range found {
				names = append(names, name)
			}
			slices.Sort(names)
			return names, nil
		case name == `\N` || name == "":
			continue
		}
		if _, is := found[name]; !is {
			found[name] = struct{}{}
			bytes += len(name)
		}
		if most > 0 && bytes > most {
			return nil, ErrTooMany
		}
	}
}

// In front of the rows of a dump there is a line with the columns between these.
const (
	copyStart = "COPY public." + table + " ("
	copyEnd   = ") FROM stdin;"
)

// findCopy reads up to the rows, and returns which field has the names; -1 is that there
// are no rows, or no such field.
func findCopy(in *bufio.Reader) (at int, err error) {
	for {
		line, err := in.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull): // no line in front of the rows is that long
			return -1, fmt.Errorf("it has a line of more than %d bytes in front of the rows", in.Size())
		case errors.Is(err, io.EOF):
			return -1, nil
		case err != nil:
			return -1, err
		}
		columns, is := strings.CutPrefix(strings.TrimSpace(string(line)), copyStart)
		if !is {
			continue
		}
		columns, is = strings.CutSuffix(columns, copyEnd)
		if !is {
			return -1, fmt.Errorf("it has %q", line)
		}
		return slices.Index(splitColumns(columns), column), nil
	}
}

// splitColumns splits a list of columns, of which some are in quotes.
func splitColumns(list string) (columns []string) {
	quoted, from := false, 0
	for i, b := range []byte(list) {
		switch {
		case b == '"': // one in quotes is doubled, which changes nothing
			quoted = !quoted
		case b == ',' && !quoted:
			columns, from = append(columns, strings.TrimSpace(list[from:i])), i+1
		}
	}
	return append(columns, strings.TrimSpace(list[from:]))
}

// fieldMost is more than a name has bytes.
const fieldMost = 1 << 10

// field reads a row, and returns one of its fields, or all of it where it is the end of the
// rows.
func field(in *bufio.Reader, at int) (string, error) {
	if end, err := in.Peek(3); err == nil && string(end) == "\\.\n" {
		return `\.`, nil
	}
	var text []byte
	for n := 0; ; {
		b, err := in.ReadByte()
		switch {
		case err == io.EOF:
			return "", io.ErrUnexpectedEOF
		case err != nil:
			return "", err
		case b == '\n': // in a value it is written \n
			return string(text), nil
		case b == '\t':
			n++
		case n == at && len(text) < fieldMost:
			text = append(text, b)
		}
	}
}
