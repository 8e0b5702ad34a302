package catalog_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"howdah/tenants/catalog"
	"howdah/wire"
)

func masterKey(t *testing.T, text string) *catalog.MasterKey {
	t.Helper()
	k, err := catalog.ParseMasterKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newMasterKeyText(t *testing.T) string {
	t.Helper()
	text, err := catalog.NewMasterKeyText()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestMasterKeyChanges changes the master key in two steps, as the manual says: what the
// old identity has sealed is opened until it has been sealed anew.
func TestMasterKeyChanges(t *testing.T) {
	first, second := newMasterKeyText(t), newMasterKeyText(t)
	before, both, after := masterKey(t, first), masterKey(t, second+first), masterKey(t, second)
	keys := wire.NewScramKeys()
	old, err := before.Seal(keys)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := before.Seal(keys); err != nil || again == old {
		t.Errorf("sealed twice it is the same: %v", err)
	}
	anew, err := both.Seal(keys)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what         string
		key          *catalog.MasterKey
		sealed       string
		opens, seals bool
	}{
		{"before, old", before, old, true, true},
		{"before, new", before, anew, false, false},
		{"both, old", both, old, true, false},
		{"both, new", both, anew, true, true},
		{"after, old", after, old, false, false},
		{"after, new", after, anew, true, true},
	} {
		if c.key.Opens(c.sealed) != c.opens || c.key.Seals(c.sealed) != c.seals {
			t.Errorf("%s: opens %v, seals %v", c.what, c.key.Opens(c.sealed), c.key.Seals(c.sealed))
		}
		for range 2 { // the second time from memory
			got, err := c.key.Open(c.sealed)
			switch {
			case c.opens && (err != nil || !bytes.Equal(got.ClientKey, keys.ClientKey) || !bytes.Equal(got.ServerKey, keys.ServerKey)):
				t.Errorf("%s: other keys come out, %v", c.what, err)
			case !c.opens && !errors.Is(err, catalog.ErrNoIdentity):
				t.Errorf("%s: %v", c.what, err)
			}
		}
	}
	if !before.Is(masterKey(t, first)) || before.Is(both) || before.Is(after) || before.Is(nil) || !(*catalog.MasterKey)(nil).Is(nil) {
		t.Error("master keys are not told apart")
	}
	if (*catalog.MasterKey)(nil).Opens(old) {
		t.Error("no master key opens something")
	}
	if bytes.Contains([]byte(old), keys.ClientKey) || strings.Contains(fmt.Sprintf("%v %+v %#v", both, both, both), "AGE-SECRET-KEY") {
		t.Error("a secret is to be seen")
	}
}

func TestDamagedKeysAreNotOpened(t *testing.T) {
	k := masterKey(t, newMasterKeyText(t))
	sealed, err := k.Seal(wire.NewScramKeys())
	if err != nil {
		t.Fatal(err)
	}
	short, err := k.Seal(wire.ScramKeys{ClientKey: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	name, text, _ := strings.Cut(sealed, ":")
	for _, damaged := range []string{short, name + ":", name, name + ":!" + text, sealed[:len(sealed)-8], name + ":" + text[:len(text)-8] + "AAAA" + text[len(text)-4:]} {
		if keys, err := k.Open(damaged); err == nil || keys.ClientKey != nil {
			t.Errorf("%q is opened", damaged)
		}
	}
}

func TestMasterKeyFile(t *testing.T) {
	dir := t.TempDir()
	identity := newMasterKeyText(t)
	hybrid, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range []struct {
		text string
		mode os.FileMode
		want string // in the error; "" for none
	}{
		{identity, 0o600, ""},
		{identity, 0o400, ""},
		{"\n# another\r\n" + identity + "\r\n", 0o600, ""},
		{identity, 0o640, "others than its owner"},
		{identity, 0o604, "others than its owner"},
		{"", 0o600, "no identity"},
		{"# nothing\n", 0o600, "no identity"},
		{identity + "x\n", 0o600, "line 3 is no X25519 identity"},
		{strings.Replace(identity, "AGE-SECRET", "secret", 1), 0o600, "line 2 is no X25519 identity"},
		{hybrid.String(), 0o600, "line 1 is no X25519 identity"},
		{identity + strings.Repeat("#\n", 1<<15), 0o600, "longer than"},
	} {
		path := filepath.Join(dir, fmt.Sprint(i))
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		_, err := catalog.ReadMasterKey(path)
		switch {
		case c.want == "" && err != nil, c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%d: %v, want %q", i, err, c.want)
		case err != nil && strings.Contains(err.Error(), "SECRET-KEY-1") && !strings.Contains(err.Error(), "KEY-1…"):
			t.Errorf("%d: the error has the secret: %v", i, err)
		}
	}
	if _, err := catalog.ReadMasterKey(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}
