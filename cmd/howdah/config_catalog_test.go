package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"howdah/tenants"
	"howdah/tenants/catalog"
	"howdah/wire"
)

const withKey = "[catalog]\nurl = \"postgres://x@127.0.0.1/x\"\nmaster_key_file = \"key\"\n"

func TestOdooAddonsPathIsChecked(t *testing.T) {
	const text = "[catalog]\nurl = \"postgres://x@127.0.0.1/x\"\nodoo_addons_path = [\"/opt/odoo/addons\", \"17.0=/opt/odoo17/addons\"]\n"
	c, err := LoadConfig(writeFile(t, "howdah.toml", text+good))
	if err != nil || len(c.Catalog.OdooAddonsPath) != 2 {
		t.Fatalf("%v", err)
	}
	_, err = LoadConfig(writeFile(t, "howdah.toml", strings.Replace(text, "17.0=/opt", "17.0=opt", 1)+good))
	if err == nil || !strings.Contains(err.Error(), "howdah.toml:3: odoo_addons_path") || !strings.Contains(err.Error(), "no absolute path") {
		t.Errorf("%v", err)
	}
}

// loadWithKey loads a configuration beside which there is a master key.
func loadWithKey(t *testing.T, text, key string, mode os.FileMode) (*Config, error) {
	t.Helper()
	path := writeFile(t, "howdah.toml", text)
	writeBeside(t, path, "key", key)
	if err := os.Chmod(filepath.Join(filepath.Dir(path), "key"), mode); err != nil {
		t.Fatal(err)
	}
	return LoadConfig(path)
}

func newKeyText(t *testing.T) string {
	t.Helper()
	text, err := catalog.NewMasterKeyText()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestMasterKeyIsCheckedAtStart(t *testing.T) {
	key := newKeyText(t)
	if c, err := loadWithKey(t, withKey+good, key, 0o600); err != nil || c.MasterKey == nil {
		t.Fatalf("%v", err)
	}
	for name, c := range map[string]struct {
		text, key string
		mode      os.FileMode
		want      string
	}{
		"others may read it": {withKey, key, 0o640, "howdah.toml:3: others than its owner may use master_key_file"},
		"no identity":        {withKey, "# nothing\n", 0o600, "howdah.toml:3: master_key_file"},
		"a password":         {withKey, "correct horse", 0o600, "line 1 is no X25519 identity"},
		"missing":            {strings.Replace(withKey, `"key"`, `"none"`, 1), key, 0o600, "no such file"},
		"no catalog":         {"[catalog]\nmaster_key_file = \"key\"\n", key, 0o600, "of no use without a catalog"},
	} {
		_, err := loadWithKey(t, c.text+good, c.key, c.mode)
		var config *ConfigError
		if !errors.As(err, &config) || len(config.Mistakes) != 1 || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "correct horse") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOldVerifiersMustGoWithTheNewOne(t *testing.T) {
	now := wire.MakeVerifier("now", 1, nil)
	until := time.Now().Add(time.Hour)
	user := func(old string) string {
		return good + "\n[[user]]\nname = \"rotating\"\nverifier = \"" + now.String() + "\"\nold_verifiers = [\"" + old + "\"]\n"
	}
	c := mustLoad(t, user(tenants.OldVerifier(until, wire.MakeVerifier("before", 1, now.Salt).String())))
	u := &c.Users[len(c.Users)-1]
	if n := len(u.Verifiers(time.Now())); n != 2 {
		t.Errorf("%d verifiers, want the new one and the old", n)
	}
	if n := len(u.Verifiers(until.Add(time.Second))); n != 1 {
		t.Errorf("%d verifiers when the old one has expired", n)
	}
	for _, wrong := range []string{
		"hunter2",
		tenants.OldVerifier(until, "hunter2"),
		tenants.OldVerifier(until, wire.MakeVerifier("before", 1, nil).String()),
		tenants.OldVerifier(until, wire.MakeVerifier("before", 2, now.Salt).String()),
		tenants.OldVerifier(until, wire.MakeMD5("before", "rotating")),
	} {
		_, err := LoadConfig(writeFile(t, "howdah.toml", user(wrong)))
		if err == nil || !strings.Contains(err.Error(), `an old verifier of user "rotating" is none`) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%v", err)
		}
	}
}

// TestCheckTellsWhoCannotLogInToServers has check tell which users have nothing to log in
// to servers with when they came by a certificate: of the catalog those that are not managed.
func TestCheckTellsWhoCannotLogInToServers(t *testing.T) {
	const rules = "[listen]\nhba_file = \"rules\"\n"
	load := func(text string) string {
		path := writeFile(t, "howdah.toml", rules+text+good)
		writeBeside(t, path, "rules", "local all all peer\n")
		writeBeside(t, path, "key", newKeyText(t))
		c, err := LoadConfig(path)
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, n := range c.Notes {
			all = append(all, n.Problem+"; "+n.Remedy)
		}
		return strings.Join(all, "\n")
	}
	const says = "users that are made in the catalog; write master_key_file"
	if got := load(strings.Replace(withKey, "master_key_file = \"key\"\n", "", 1)); !strings.Contains(got, says) {
		t.Errorf("without a master key check says %q", got)
	}
	if got := load(withKey); strings.Contains(got, says) || !strings.Contains(got, `as "acme"`) {
		t.Errorf("with one it says %q", got)
	}
}
