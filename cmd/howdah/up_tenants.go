package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strings"

	"howdah/backup/store"
	"howdah/tenants/catalog"
	"howdah/wire/postgres"
)

// upBudget is how many server connections Howdah may hold on the cluster; the
// rest of max_connections is for whoever connects to PostgreSQL itself.
const upBudget = 80

// upWarm is how many databases are kept ready for `tenant create`.
const upWarm = 2

// consoleUser may use the console; it is no role of PostgreSQL.
const consoleUser = "admin"

// upUser is a user `up` made, with what it is not able to look up again.
type upUser struct {
	name, database string
	password       string
	verifier       string // PostgreSQL's own string for the password
}

// url logs the user in through Howdah.
func (u upUser) url(port int) string {
	return (&url.URL{
		Scheme: "postgres", User: url.UserPassword(u.name, u.password),
		Host: fmt.Sprintf("127.0.0.1:%d", port), Path: "/" + u.database,
	}).String()
}

// setUp makes the tenants and writes the files. howdah.toml comes last: as long
// as it is missing the next start does all of it again, with new passwords.
func (u *up) setUp(ctx context.Context) error {
	for _, name := range []string{"acme", "globex"} {
		user, err := u.makeTenant(ctx, name)
		if err != nil {
			return fmt.Errorf("make tenant %q: %w", name, err)
		}
		u.tenants = append(u.tenants, user)
	}
	admin, err := u.makeConsoleUser(ctx)
	if err != nil {
		return fmt.Errorf("make console user: %w", err)
	}
	token := catalog.NewTokenText()
	catalogURL, err := u.makeCatalog(ctx, token)
	if err != nil {
		return fmt.Errorf("make catalog: %w", err)
	}
	masterKey, err := u.makeMasterKey()
	if err != nil {
		return err
	}
	identity, recipient, err := u.makeStore()
	if err != nil {
		return err
	}
	users := append(u.tenants[:len(u.tenants):len(u.tenants)], admin)
	var urls strings.Builder
	for _, user := range users {
		fmt.Fprintln(&urls, user.url(u.ports.pooler))
	}
	for _, file := range []struct{ path, text string }{
		{u.folder.credentials(), urls.String()},
		{u.folder.token(), token + "\n"},
		{u.folder.masterKey(), masterKey},
		{u.folder.identity(), identity},
		{u.folder.config(), u.configText(users, catalogURL, recipient)},
	} {
		if err := writeSecret(file.path, file.text); err != nil {
			return fmt.Errorf("write file: %w", err)
		}
	}
	u.tenants = users
	return nil
}

// makeTenant makes a role and its database, or gives the role a new password
// when an earlier start got that far.
func (u *up) makeTenant(ctx context.Context, name string) (upUser, error) {
	user := upUser{name: name, database: name, password: rand.Text()}
	err := u.makeOwner(ctx, user)
	if err != nil {
		return user, err
	}
	user.verifier, err = u.verifier(ctx, name)
	return user, err
}

// makeOwner makes a role and its database, which nobody else may enter, or gives the role
// its password where there is one.
func (u *up) makeOwner(ctx context.Context, user upUser) error {
	var role, database bool
	err := u.primary.QueryRow(ctx, postgres.Superuser, `select
		exists (select from pg_roles where rolname = $1), exists (select from pg_database where datname = $2)`,
		[]any{user.name, user.database}, &role, &database)
	if err != nil {
		return err
	}
	verb := "create"
	if role {
		verb = "alter"
	}
	statements := []string{fmt.Sprintf("%s role %s login password '%s'", verb, user.name, user.password)}
	if !database {
		statements = append(statements, fmt.Sprintf("create database %s owner %s", user.database, user.name))
	}
	statements = append(statements, fmt.Sprintf("revoke all on database %s from public", user.database))
	return u.primary.Exec(ctx, postgres.Superuser, statements...)
}

// makeConsoleUser lets PostgreSQL compute the verifier of a user that is
// Howdah's alone, by way of a role that lives for a moment.
func (u *up) makeConsoleUser(ctx context.Context) (upUser, error) {
	const role = "howdah_console_verifier"
	user := upUser{name: consoleUser, database: "howdah", password: rand.Text()}
	err := u.primary.Exec(ctx, postgres.Superuser, "drop role if exists "+role,
		fmt.Sprintf("create role %s nologin password '%s'", role, user.password))
	if err != nil {
		return user, err
	}
	if user.verifier, err = u.verifier(ctx, role); err != nil {
		return user, err
	}
	return user, u.primary.Exec(ctx, postgres.Superuser, "drop role "+role)
}

// catalogRole owns the catalog's database.
const catalogRole, catalogDatabase = "howdah", "howdah_catalog"

// makeCatalog makes the catalog's database and a token for the HTTP API, and returns
// where the catalog is. An earlier start may have got that far: its password and its
// token are known to nobody.
func (u *up) makeCatalog(ctx context.Context, token string) (string, error) {
	owner := upUser{name: catalogRole, database: catalogDatabase, password: rand.Text()}
	if err := u.makeOwner(ctx, owner); err != nil {
		return "", err
	}
	c, err := catalog.Open(ctx, owner.url(u.ports.primary))
	if err != nil {
		return "", err
	}
	defer c.Close()
	const name = "up"
	return owner.url(u.ports.primary), c.Change(ctx, catalog.Actor{Name: "howdah up", Door: "up"}, func(tx *catalog.Tx) error {
		if err := tx.DeleteToken(name); err != nil && !errors.Is(err, catalog.ErrNotFound) {
			return err
		}
		_, err := tx.AddToken(catalog.Token{Name: name, Role: "admin"}, token)
		return err
	})
}

// makeStore makes the store of exports, and returns the key pair for what is in it: the
// one that is there, since the store may be, too.
func (u *up) makeStore() (identity, recipient string, err error) {
	if err := store.MakeDir(u.folder.store()); err != nil {
		return "", "", err
	}
	if text, err := os.ReadFile(u.folder.identity()); err == nil {
		recipients, err := store.RecipientsOf(string(text))
		if err != nil || len(recipients) == 0 {
			return "", "", fmt.Errorf("read identity: %s has none", u.folder.identity())
		}
		return string(text), recipients[0], nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", "", fmt.Errorf("read identity: %w", err)
	}
	if identity, recipient, err = store.NewIdentity(); err != nil {
		return "", "", err
	}
	return "# public key: " + recipient + "\n" + identity + "\n", recipient, nil
}

// makeMasterKey returns the text of the master key: the one that is there, since the
// catalog may have been sealed with it.
func (u *up) makeMasterKey() (string, error) {
	text, err := os.ReadFile(u.folder.masterKey())
	if errors.Is(err, fs.ErrNotExist) {
		return catalog.NewMasterKeyText()
	}
	if err != nil {
		return "", fmt.Errorf("read master key: %w", err)
	}
	return string(text), nil
}

func (u *up) verifier(ctx context.Context, role string) (string, error) {
	var verifier string
	err := u.primary.QueryRow(ctx, postgres.Superuser,
		"select rolpassword from pg_authid where rolname = $1", []any{role}, &verifier)
	return verifier, err
}

// configText is the howdah.toml of the first start.
func (u *up) configText(users []upUser, catalogURL, recipient string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Written once by "howdah up"; yours to edit. "howdah help settings" explains
# every setting; "howdah check -c FILE" finds mistakes; SIGHUP to the serving
# process, or RELOAD on the console, applies changes.

[listen]
addresses = ["127.0.0.1:%d"]

[admin]
http = "127.0.0.1:%d"
users = [%q]

[catalog]
url = %q
cache = "catalog.json"
master_key_file = "master.key"

[backup]
store = "file:store"
recipients = [%q]
identity_file = "identity"

[[cluster]]
name = "main"
members = [%q, %q]
admin_url = %q
replication_url = %q
budget = %d
warm = %d
`, u.ports.pooler, u.ports.http, consoleUser, catalogURL, recipient, u.primary.Address(), u.standby.Address(),
		u.primary.AdminURL(postgres.Superuser), u.primary.AdminURL(postgres.Superuser), upBudget, upWarm)
	for _, user := range users {
		if user.name != consoleUser {
			fmt.Fprintf(&b, "\n[[tenant]]\nname = %q\ncluster = \"main\"\n", user.name)
		}
	}
	for _, user := range users {
		fmt.Fprintf(&b, "\n[[user]]\nname = %q\nverifier = %q\n", user.name, user.verifier)
	}
	return b.String()
}
