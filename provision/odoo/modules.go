package odoo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// module is an installed one that has data to neutralise itself.
type module struct{ name, path, text string }

// dataFile is where Odoo 16 and later look for it in a module's folder.
const dataFile = "data/neutralize.sql"

// maxData bounds such a file: those of Odoo have a few lines.
const maxData = 1 << 20

// moduleName is what Odoo allows. The names are the tenant's, and become paths.
var moduleName = regexp.MustCompile(`^[A-Za-z0-9_]+$`)

// CheckAddons says what is wrong with the name of a folder of modules.
func CheckAddons(folder string) error {
	version, path := split(folder)
	switch {
	case !filepath.IsAbs(path):
		return fmt.Errorf("%q is no absolute path of a folder", path)
	case strings.ContainsAny(version, "/ "):
		return fmt.Errorf("%q is no version", version)
	}
	return nil
}

// split takes the version from the name of a folder.
func split(folder string) (version, path string) {
	if before, after, ok := strings.Cut(folder, "="); ok && !strings.HasPrefix(folder, "/") {
		return before, after
	}
	return "", folder
}

// folders returns the paths of those that are of a version, or of all.
func folders(addons []string, installed string) (paths []string) {
	for _, folder := range addons {
		version, path := split(folder)
		if version == "" || installed == version || strings.HasPrefix(installed, version+".") {
			paths = append(paths, path)
		}
	}
	return paths
}

// modules returns those that are installed and have data, in the order in which they
// came.
func modules(ctx context.Context, tx pgx.Tx, folders []string) (found []module, err error) {
	for _, folder := range folders {
		if _, err := os.Stat(folder); err != nil {
			return nil, fmt.Errorf("%w: odoo_addons_path: %w", ErrFailed, err)
		}
	}
	rows, err := tx.Query(ctx, "select name::text from ir_module_module where state in ('installed', 'to upgrade', 'to remove') order by id")
	if err != nil {
		return nil, err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		m, err := find(name, folders)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrFailed, err)
		}
		if m != nil {
			found = append(found, *m)
		}
	}
	return found, nil
}

// find returns a module's data from the first folder that has the module, nil if there is
// none.
func find(name string, folders []string) (*module, error) {
	if !moduleName.MatchString(name) {
		return nil, nil
	}
	for _, folder := range folders {
		if _, err := os.Stat(filepath.Join(folder, name)); errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return nil, err
		}
		path := filepath.Join(folder, name, dataFile)
		info, err := os.Stat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil, nil
		case err != nil:
			return nil, err
		case !info.Mode().IsRegular() || info.Size() > maxData:
			return nil, fmt.Errorf("%q is no file of at most %d bytes", path, maxData)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		return &module{name, path, string(text)}, nil
	}
	return nil, nil
}

// run runs a module's data, which may have several statements, in the transaction.
func (m *module) run(ctx context.Context, tx pgx.Tx) error {
	conn := tx.Conn().PgConn()
	_, err := conn.Exec(ctx, m.text).ReadAll()
	if err == nil && conn.TxStatus() != 'T' {
		err = fmt.Errorf("%w: it ends the transaction", ErrFailed)
	}
	if err != nil {
		return fmt.Errorf("module %q, by %q: %w; is that of the module's version? odoo_addons_path may say which a folder is of: 17.0=/folder", m.name, m.path, err)
	}
	return nil
}

// failed makes ErrFailed of what PostgreSQL says of a statement, as opposed to a
// connection that broke or a server that stops.
func failed(err error) error {
	var e *pgconn.PgError
	if !errors.As(err, &e) || strings.HasPrefix(e.Code, "57") || strings.HasPrefix(e.Code, "40") || errors.Is(err, ErrFailed) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrFailed, err)
}
