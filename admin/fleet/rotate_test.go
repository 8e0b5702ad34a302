package fleet_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"howdah/admin/fleet"
	"howdah/tenants/catalog"
	"howdah/wire"
)

// rotate changes a password, and waits until that is done.
func (h *house) rotate(name string, n fleet.NewPassword) string {
	h.t.Helper()
	made, err := h.fleet.RotateTenant(h.t.Context(), anna, name, n)
	if err != nil {
		h.t.Fatal(err)
	}
	h.await(made.Operation, catalog.Done)
	return made.Password
}

// wantPasswords fails where a password does not log in, or one does that should not.
func (h *house) wantPasswords(name string, good, bad []string) {
	h.t.Helper()
	for i, p := range good {
		if err := h.can(name, p); err != nil {
			h.t.Errorf("password %d of those that are good: %v", i, err)
		}
	}
	for i, p := range bad {
		if err := h.can(name, p); !errors.Is(err, wire.ErrAuthentication) {
			h.t.Errorf("password %d of those that are bad: %v", i, err)
		}
	}
}

func TestRotate(t *testing.T) {
	h := newHouse(t)
	h.run()
	first := h.create("acme").Password
	var invalid *fleet.InvalidError
	for _, n := range []fleet.NewPassword{
		{Overlap: time.Hour}, {Server: true}, {Overlap: -1}, {Overlap: 10 * 366 * 24 * time.Hour}, {Password: first},
	} {
		if _, err := h.fleet.RotateTenant(t.Context(), anna, "acme", n); !errors.As(err, &invalid) {
			t.Errorf("without a master key, %+v: %v", n, err)
		}
	}
	if _, err := h.fleet.RotateTenant(t.Context(), anna, "nobody", fleet.NewPassword{}); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("nobody: %v", err)
	}
	second := h.rotate("acme", fleet.NewPassword{})
	h.wantPasswords("acme", []string{second}, []string{first})
	if _, ever := h.pooler.holding(); len(ever) != 1 {
		t.Errorf("held while the server's password and the client's change: %v", ever)
	}

	h.key.Store(theMasterKey())
	all := []string{second}
	for range 3 {
		all = append(all, h.rotate("acme", fleet.NewPassword{Overlap: time.Hour}))
		h.wantPasswords("acme", all, []string{first})
	}
	if _, err := h.fleet.RotateTenant(t.Context(), anna, "acme", fleet.NewPassword{Overlap: time.Hour}); !errors.As(err, &invalid) || invalid.Field != "overlap" {
		t.Errorf("a fourth old password: %v", err)
	}
	chosen := h.rotate("acme", fleet.NewPassword{Password: "correct horse", Server: true})
	h.wantPasswords("acme", []string{chosen}, all)
	if chosen != "correct horse" {
		t.Errorf("another password was told: %q", chosen)
	}
	h.rotate("acme", fleet.NewPassword{Overlap: 1500 * time.Millisecond}) // times have whole seconds
	h.wait("the old password ends", func() bool { return errors.Is(h.can("acme", chosen), wire.ErrAuthentication) })
	if _, ever := h.pooler.holding(); len(ever) != 1 {
		t.Errorf("managed, its clients are held: %v", ever)
	}
}

func TestRotateOnce(t *testing.T) {
	h := newManagedHouse(t)
	h.run()
	h.create("acme")
	once := &fleet.Once{Key: "k", Secret: "s"}
	n := fleet.NewPassword{Overlap: time.Hour, Once: once}
	made, err := h.fleet.RotateTenant(t.Context(), anna, "acme", n)
	if err != nil {
		t.Fatal(err)
	}
	h.await(made.Operation, catalog.Done)
	again, err := h.fleet.RotateTenant(t.Context(), anna, "acme", n)
	if err != nil || again.Password != made.Password || again.Operation.ID != made.Operation.ID {
		t.Errorf("asked again: another password, %v", err)
	}
	var invalid *fleet.InvalidError
	if _, err := h.fleet.RotateTenant(t.Context(), anna, "acme", fleet.NewPassword{Once: once}); !errors.As(err, &invalid) {
		t.Errorf("another request by the same key: %v", err)
	}
}

// TestReseal changes the master key, of tenants that live and of one that was dropped.
func TestReseal(t *testing.T) {
	h := newManagedHouse(t)
	h.run()
	passwords := map[string]string{}
	for _, name := range []string{"acme", "globex", "dropped"} {
		passwords[name] = h.create(name).Password
	}
	o, err := h.fleet.DropTenant(t.Context(), anna, "dropped", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	h.await(o, catalog.Done)
	text, err := catalog.NewMasterKeyText()
	if err != nil {
		t.Fatal(err)
	}
	both, err := catalog.ParseMasterKey(text + masterKeyText)
	if err != nil {
		t.Fatal(err)
	}
	after, err := catalog.ParseMasterKey(text)
	if err != nil {
		t.Fatal(err)
	}
	h.key.Store(after)
	if _, err := h.fleet.Reseal(t.Context(), anna); !errors.Is(err, catalog.ErrNoIdentity) {
		t.Errorf("what cannot be opened is sealed anew: %v", err)
	}
	h.key.Store(both)
	for _, want := range []int{3, 0} {
		if n, err := h.fleet.Reseal(t.Context(), anna); err != nil || n != want {
			t.Errorf("%d sealed anew, want %d: %v", n, want, err)
		}
	}
	h.key.Store(after)
	if o, err = h.fleet.UndropTenant(t.Context(), anna, "dropped"); err != nil {
		t.Fatal(err)
	}
	h.await(o, catalog.Done)
	for name, password := range passwords {
		if err := h.can(name, password); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	h.key.Store(nil)
	var invalid *fleet.InvalidError
	if _, err := h.fleet.Reseal(t.Context(), anna); !errors.As(err, &invalid) {
		t.Errorf("without a master key: %v", err)
	}
}

// TestSecretsAreNowhere looks for passwords and keys in all that the catalog's database
// holds, and in the log, while and after tenants are made and their passwords changed.
func TestSecretsAreNowhere(t *testing.T) {
	h := newManagedHouse(t)
	var log bytes.Buffer
	h.log = io.MultiWriter(t.Output(), &log)
	h.relog()
	secrets := map[string]string{}
	keys := func(when string) {
		e, err := h.catalog.Entry(t.Context(), catalog.User, "acme")
		if err != nil {
			t.Fatal(err)
		}
		for _, sealed := range userOf(e).ServerKeys {
			k, err := theMasterKey().Open(sealed)
			if err != nil {
				t.Fatal(err)
			}
			for _, b := range [][]byte{k.ClientKey} {
				secrets["server key in base64, "+when] = base64.StdEncoding.EncodeToString(b)
				secrets["server key in hexadecimal, "+when] = hex.EncodeToString(b)
			}
		}
	}
	made, err := h.fleet.CreateTenant(t.Context(), anna, fleet.NewTenant{Name: "acme", Once: &fleet.Once{Key: "k", Secret: "s"}}, false)
	if err != nil {
		t.Fatal(err)
	}
	secrets["first password"] = made.Password
	h.noneOf(secrets)
	h.run()
	h.await(made.Operation, catalog.Done)
	keys("created")
	for _, n := range []fleet.NewPassword{{Overlap: time.Hour}, {Password: "battery staple", Server: true, Overlap: time.Hour, Once: &fleet.Once{Key: "l", Secret: "s"}}} {
		secrets["another password "+n.Password] = h.rotate("acme", n)
		keys("rotated " + n.Password)
	}
	for _, do := range []func() (*catalog.Operation, error){
		func() (*catalog.Operation, error) { return h.fleet.DropTenant(t.Context(), anna, "acme", time.Hour) },
		func() (*catalog.Operation, error) { return h.fleet.UndropTenant(t.Context(), anna, "acme") },
	} {
		h.noneOf(secrets)
		o, err := do()
		if err != nil {
			t.Fatal(err)
		}
		h.await(o, catalog.Done)
	}
	h.noneOf(secrets)
	if len(secrets) != 3+6 {
		t.Errorf("%d secrets were looked for", len(secrets))
	}
	for what, secret := range secrets {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log has the %s", what)
		}
	}
	// What may stay in the catalog stays where it is used: of operations that have ended
	// nothing is left, and the audit log has no verifier.
	const sealed = "YWdlLWVuY3J5cHRpb24" // as all that is sealed begins
	var kept int
	if err := h.server.QueryRow(t.Context(), "catalog", "select count(*) from howdah.entry where settings::text ~ $1", []any{sealed}, &kept); err != nil || kept != 1 {
		t.Errorf("%d entries have something sealed, %v", kept, err)
	}
	for _, query := range []string{
		"select count(*) from howdah.operation where parameters::text ~ 'SCRAM-SHA-256|" + sealed + "'",
		"select count(*) from howdah.audit where record::text ~ 'SCRAM-SHA-256|" + sealed + "'",
	} {
		var n int
		if err := h.server.QueryRow(t.Context(), "catalog", query, nil, &n); err != nil || n > 0 {
			t.Errorf("%d lines by %q, %v", n, query, err)
		}
	}
}

// noneOf looks for secrets in every table of the catalog's database.
func (h *house) noneOf(secrets map[string]string) {
	h.t.Helper()
	for what, secret := range secrets {
		var found string
		err := h.server.QueryRow(h.t.Context(), "catalog", `select coalesce(string_agg(format('%I.%I', table_schema, table_name), ' '), '')
			from information_schema.tables where table_schema in ('howdah', 'river') and table_type = 'BASE TABLE'
			and position($1 in query_to_xml(format('select * from %I.%I', table_schema, table_name), true, false, '')::text) > 0`, []any{secret}, &found)
		if err != nil {
			h.t.Fatal(err)
		}
		if found != "" {
			h.t.Errorf("%s has the %s", found, what)
		}
	}
}
