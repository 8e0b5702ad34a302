package odoo_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"howdah/provision/odoo"
	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

// house is a server with a role "copy" that is nobody, and databases that it has the
// contents of.
type house struct {
	*testing.T
	server *postgres.Server
}

const uuid = "aaaaaaaa-0000-4000-8000-000000000001"

// with makes a database of the role's with what a file of testdata has, and logs in.
func (h *house) with(t *testing.T, database, file string) *pgx.Conn {
	t.Helper()
	if err := h.server.Exec(t.Context(), postgres.Superuser, "create database "+database+" owner copy"); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), h.server.URL("copy", "x", database))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.WithoutCancel(t.Context())) })
	if file != "" {
		text, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Exec(t.Context(), string(text)); err != nil {
			t.Fatal(err)
		}
	}
	return conn
}

// says returns a query's rows, a line each.
func says(t *testing.T, conn *pgx.Conn, query string) string {
	t.Helper()
	rows, err := conn.Query(t.Context(), "select x::text from ("+query+") x")
	if err != nil {
		t.Fatal(err)
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

func expect(t *testing.T, conn *pgx.Conn, want map[string]string) {
	t.Helper()
	for query, rows := range want {
		if got := says(t, conn, query); got != rows {
			t.Errorf("%s:\n%s\nwant\n%s", query, got, rows)
		}
	}
}

const mails = "select name, smtp_host, active from ir_mail_server order by id"

// settled is what a copy of odoo17.sql is by the built-in list.
func settled() map[string]string {
	return map[string]string{
		mails:                                    "(real,smtp.example,f)\n(\"neutralization - disable emails\",invalid,t)",
		"select active from ir_cron order by id": "(f)\n(t)\n(f)\n(f)",
		"select state, webhook_url from ir_act_server order by id":                                     "(webhook,\"neutralization - disable webhook\")\n(code,)",
		"select key from ir_ui_view where active order by 1":                                           "(web.neutralize_banner)\n(website.neutralize_ribbon)",
		"select domain, cdn_activated, robots_txt from website":                                        "(,f,\"User-agent: *\nDisallow: /\")",
		"select mail_server_id from mail_template":                                                     "()",
		"select active from fetchmail_server":                                                          "(f)",
		"select code, state from payment_provider order by id":                                         "(stripe,disabled)\n(demo,test)\n(adyen,disabled)",
		"select prod_environment from delivery_carrier":                                                "(f)",
		"select account_token from iap_account order by id":                                            "(token+disabled)\n(other+disabled)\n()",
		"select enabled from auth_oauth_provider":                                                      "(f)",
		"select name from res_partner":                                                                 "(\"a customer\")",
		"select key, value from ir_config_parameter where key ~ '^mail|neutralized|^mine$' order by 1": "(database.is_neutralized,true)\n(mine,stays)",
	}
}

const identity = "select key, value = 'old' or value ~ 'shop', value = '" + uuid + "' from ir_config_parameter where key in ('database.uuid', 'database.secret', 'database.create_date', 'web.base.url') order by key"

const renewed = "(database.create_date,f,f)\n(database.secret,f,f)\n(database.uuid,f,t)\n(web.base.url,f,f)"

func TestSettle(t *testing.T) {
	h := &house{t, wiretest.StartPostgres(t)}
	if err := h.server.Exec(t.Context(), postgres.Superuser, "create role copy login password 'x'"); err != nil {
		t.Fatal(err)
	}
	t.Run("built in", h.builtIn)
	t.Run("an older Odoo", h.older)
	t.Run("own data", h.ownData)
	t.Run("data that cannot be run", h.badData)
	t.Run("no Odoo", h.noOdoo)
	t.Run("not neutralised", h.notNeutralised)
}

func (h *house) builtIn(t *testing.T) {
	conn := h.with(t, "builtin", "odoo17.sql")
	c := odoo.Copy{UUID: uuid, Neutralise: odoo.Auto}
	r, err := odoo.Settle(t.Context(), conn, c)
	if err != nil || r.Version != "17.0.1.3" || len(r.Modules) > 0 || r.BuiltIn < 10 {
		t.Fatalf("%+v, %v", r, err)
	}
	expect(t, conn, settled())
	expect(t, conn, map[string]string{identity: renewed})
	// A second time nothing is done: somebody may have begun to work with it.
	if _, err := conn.Exec(t.Context(), "update ir_cron set active = true"); err != nil {
		t.Fatal(err)
	}
	if r, err = odoo.Settle(t.Context(), conn, c); err != nil || r.BuiltIn != 0 {
		t.Errorf("a second time: %+v, %v", r, err)
	}
	if _, err := odoo.Settle(t.Context(), conn, odoo.Copy{UUID: strings.Replace(uuid, "a", "b", 1)}); err != nil {
		t.Error(err)
	}
	expect(t, conn, map[string]string{
		mails:                                  "(real,smtp.example,f)\n(\"neutralization - disable emails\",invalid,t)", // a copy of a copy has one
		"select bool_and(active) from ir_cron": "(f)",
	})
}

func (h *house) older(t *testing.T) {
	conn := h.with(t, "older", "odoo14.sql")
	if r, err := odoo.Settle(t.Context(), conn, odoo.Copy{UUID: uuid, Neutralise: odoo.BuiltIn}); err != nil || r.Version != "14.0.1.3" {
		t.Fatalf("%+v, %v", r, err)
	}
	expect(t, conn, map[string]string{
		mails:                        "(real,smtp.example,f)\n(\"neutralization - disable emails\",invalid,t)",
		"select active from ir_cron": "(f)", "select active from fetchmail_server": "(f)",
		"select state from payment_acquirer order by id":        "(disabled)\n(test)",
		"select key, value from ir_config_parameter order by 1": "(database.is_neutralized,true)\n(database.uuid," + uuid + ")",
	})
}

// addons makes a folder of modules with what each has for neutralising.
func addons(t *testing.T, data map[string]string) string {
	t.Helper()
	folder := t.TempDir()
	for name, text := range data {
		dir := filepath.Join(folder, name, "data")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if text == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, "neutralize.sql"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// What a module has itself is done in place of what is built in for it, of the first
// folder that has the module, and of folders for this version only.
func (h *house) ownData(t *testing.T) {
	conn := h.with(t, "own", "odoo17.sql")
	c := odoo.Copy{UUID: uuid, Neutralise: odoo.Auto, Addons: []string{
		"16.0=" + addons(t, map[string]string{"payment": "nonsense"}),
		"17.0=" + addons(t, map[string]string{
			"payment": "-- no more than this\nupdate payment_provider set state = 'disabled' where code = 'demo';\nupdate payment_provider set code = code || '!';",
			"sale":    "nonsense, but it is not installed",
		}),
		addons(t, map[string]string{"payment": "nonsense", "base": "", "mine": "update ir_config_parameter set value = 'neutral' where key = 'mine'"}),
	}}
	r, err := odoo.Settle(t.Context(), conn, c)
	if err != nil || !slices.Equal(r.Modules, []string{"payment", "mine"}) {
		t.Fatalf("%+v, %v", r, err)
	}
	want := settled()
	want["select code, state from payment_provider order by id"] = "(stripe!,enabled)\n(demo!,disabled)\n(adyen!,disabled)"
	want["select key, value from ir_config_parameter where key ~ '^mail|neutralized|^mine$' order by 1"] = "(database.is_neutralized,true)\n(mine,neutral)"
	expect(t, conn, want)
}

// Where a module's data cannot be run, nothing is done.
func (h *house) badData(t *testing.T) {
	conn := h.with(t, "bad", "odoo17.sql")
	outside := addons(t, map[string]string{"secret": "update payment_provider set code = 'outside'"})
	big := addons(t, map[string]string{"base": strings.Repeat("--\n", 1<<19)})
	for _, test := range []struct{ folder, says string }{
		{addons(t, map[string]string{"base": "update ir_cron set active = false; update nothing set x = 1"}), `relation "nothing" does not exist`},
		{addons(t, map[string]string{"base": "commit"}), "ends the transaction"},
		{addons(t, map[string]string{"base": "syntax error"}), "odoo_addons_path"},
		{addons(t, map[string]string{"base": "copy (select 1) to program 'id'"}), "pg_execute_server_program"}, // it is no superuser
		{"/nowhere/at/all", "no such file"},
		{big, "at most"},
	} {
		_, err := odoo.Settle(t.Context(), conn, odoo.Copy{UUID: uuid, Neutralise: odoo.Auto, Addons: []string{test.folder}})
		if !errors.Is(err, odoo.ErrFailed) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v", test.says, err)
		}
		if conn.IsClosed() {
			t.Fatal("the connection is closed")
		}
	}
	expect(t, conn, map[string]string{
		"select count(*) from ir_cron where active":                         "(3)",
		"select value from ir_config_parameter where key = 'database.uuid'": "(old)",
	})
	// A name that the tenant has made leads nowhere else.
	if _, err := conn.Exec(t.Context(), "update ir_module_module set name = '../"+filepath.Base(outside)+"/secret' where name = 'mine'"); err != nil {
		t.Fatal(err)
	}
	inside := addons(t, nil)
	if err := os.Symlink(outside, filepath.Join(filepath.Dir(inside), filepath.Base(outside))); err != nil && !errors.Is(err, os.ErrExist) {
		t.Fatal(err)
	}
	if r, err := odoo.Settle(t.Context(), conn, odoo.Copy{UUID: uuid, Neutralise: odoo.Auto, Addons: []string{inside}}); err != nil || len(r.Modules) > 0 {
		t.Errorf("%+v, %v", r, err)
	}
	expect(t, conn, map[string]string{"select distinct code = 'outside' from payment_provider": "(f)"})
}

func (h *house) noOdoo(t *testing.T) {
	conn := h.with(t, "none", "")
	if _, err := conn.Exec(t.Context(), "create table ir_cron (active boolean); insert into ir_cron values (true)"); err != nil {
		t.Fatal(err)
	}
	if r, err := odoo.Settle(t.Context(), conn, odoo.Copy{UUID: uuid, Neutralise: odoo.Auto}); err != nil || r.Version != "" || r.BuiltIn != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	expect(t, conn, map[string]string{"select active from ir_cron": "(t)"})
}

func (h *house) notNeutralised(t *testing.T) {
	conn := h.with(t, "kept", "odoo17.sql")
	if r, err := odoo.Settle(t.Context(), conn, odoo.Copy{UUID: uuid, Neutralise: odoo.None, Addons: []string{"/nowhere"}}); err != nil || r.Version != "17.0.1.3" || r.BuiltIn != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	expect(t, conn, map[string]string{
		identity: renewed, mails: "(real,smtp.example,t)",
		"select count(*) from ir_cron where active": "(3)",
	})
}

func TestCheckAddons(t *testing.T) {
	for folder, ok := range map[string]bool{
		"/opt/odoo/addons": true, "17.0=/opt/odoo17/addons": true, "saas~17.2=/srv/a": true, "/opt/a=b": true,
		"addons": false, "17.0=addons": false, "": false, "17.0=": false, "17 0=/opt": false, "a/b=/opt": false,
	} {
		if err := odoo.CheckAddons(folder); (err == nil) != ok {
			t.Errorf("%q: %v", folder, err)
		}
	}
}
