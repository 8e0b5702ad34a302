package router_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"howdah/tenants"
	"howdah/wire"
)

// keyring opens the keys of managed users: "sealed" is their place in the list.
type keyring []wire.ScramKeys

func (k *keyring) seal(keys wire.ScramKeys) string {
	*k = append(*k, keys)
	return fmt.Sprint("sealed ", len(*k)-1)
}

func (k *keyring) open(sealed string) (wire.ScramKeys, error) {
	var i int
	if _, err := fmt.Sscanf(sealed, "sealed %d", &i); err != nil || i >= len(*k) {
		return wire.ScramKeys{}, errors.New("it is not ours")
	}
	return (*k)[i], nil
}

// managed makes acme a managed user with these passwords, of which all but the first
// expire at a time.
func managed(serverKeys []string, until time.Time, passwords ...string) func(*setup) {
	now := wire.MakeVerifier(passwords[0], 0, nil)
	u := tenants.User{Name: "acme", Verifier: now.String(), ServerKeys: serverKeys}
	for _, old := range passwords[1:] {
		u.OldVerifiers = append(u.OldVerifiers, tenants.OldVerifier(until, wire.MakeVerifier(old, 0, now.Salt).String()))
	}
	return func(s *setup) { s.users = []tenants.User{u} }
}

// TestRealManaged has clients of a managed user log in with passwords that its server
// does not know.
func TestRealManaged(t *testing.T) {
	h := startHouse(t)
	first, second := wire.NewScramKeys(), wire.NewScramKeys()
	ring := &keyring{}
	sealed := []string{ring.seal(first), ring.seal(second)}
	roleTakes := func(keys wire.ScramKeys) {
		h.sql(t, "alter role acme password '"+keys.Verifier().String()+"'")
	}
	roleTakes(first)
	opens := func(s *setup) { s.config.OpenKey = ring.open }
	hour := time.Now().Add(time.Hour)

	t.Run("TwoPasswords", func(t *testing.T) {
		d := h.open(t, opens, managed(sealed[:1], hour, "new", "old"))
		for password, ok := range map[string]bool{"new": true, "old": true, "older": false, secret: false} {
			who, err := whoAmI(d.withPassword("acme", "acme", password))
			if ok && (err != nil || who != "acme") || !ok && !isRefusal(err, "28P01") {
				t.Errorf("password %q: %q, %v", password, who, err)
			}
		}
		d.reload(t, managed(sealed[:1], time.Now().Add(-time.Second), "new", "old"))
		if _, err := whoAmI(d.withPassword("acme", "acme", "old")); !isRefusal(err, "28P01") {
			t.Errorf("an old password that has expired: %v", err)
		}
		if _, err := whoAmI(d.withPassword("acme", "acme", "new")); err != nil {
			t.Errorf("the new one: %v", err)
		}
	})

	t.Run("WithoutAProof", func(t *testing.T) {
		d := h.open(t, opens, managed(sealed[:1], hour, "new"), byRules(t, "host all all all trust", ""))
		if who, err := whoAmI(d.withPassword("acme", "acme", "")); err != nil || who != "acme" {
			t.Errorf("%q, %v", who, err)
		}
	})

	t.Run("TheServersKeyChanges", func(t *testing.T) {
		d := h.open(t, opens, managed(sealed, hour, "new"))
		for _, keys := range []wire.ScramKeys{first, second} {
			roleTakes(keys)
			d.Reload() // nothing of before is used again
			if _, err := whoAmI(d.withPassword("acme", "acme", "new")); err != nil {
				t.Errorf("one of two keys: %v", err)
			}
		}
		// A node that hears late of the new key waits for it.
		d.reload(t, managed(sealed[:1], hour, "new"))
		late := time.AfterFunc(50*time.Millisecond, func() { d.registry.Replace(snapshotOf(d.setup, managed(sealed, hour, "new"))) })
		defer late.Stop()
		if _, err := whoAmI(d.withPassword("acme", "acme", "new")); err != nil {
			t.Errorf("a key of which the node hears late: %v", err)
		}
		late.Stop()
		roleTakes(first)
	})

	t.Run("BecomesManaged", func(t *testing.T) {
		v := wire.MakeVerifier("both", 0, nil)
		h.sql(t, "alter role acme password '"+v.String()+"'")
		defer roleTakes(first)
		d := h.open(t, opens, func(s *setup) { s.users = []tenants.User{{Name: "acme", Verifier: v.String(), ServerKeys: sealed[:1]}} })
		if _, err := whoAmI(d.withPassword("acme", "acme", "both")); err != nil {
			t.Errorf("before the server knows the key: %v", err)
		}
		roleTakes(first)
		d.Reload()
		if _, err := whoAmI(d.withPassword("acme", "acme", "both")); err != nil {
			t.Errorf("when it does: %v", err)
		}
	})

	t.Run("NoMasterKey", func(t *testing.T) {
		for _, open := range []func(string) (wire.ScramKeys, error){nil, (&keyring{}).open} {
			d := h.open(t, managed(sealed[:1], hour, "new"), func(s *setup) { s.config.OpenKey = open })
			_, err := whoAmI(d.withPassword("acme", "acme", "new"))
			if !isRefusal(err, "28000") || !strings.Contains(err.Error(), "no master key") {
				t.Errorf("%v", err)
			}
			if _, err := whoAmI(d.withPassword("acme", "acme", "wrong")); !isRefusal(err, "28P01") {
				t.Errorf("a stranger hears of it: %v", err)
			}
		}
	})
}

func isRefusal(err error, code string) bool {
	var e *wire.Error
	return errors.As(err, &e) && e.Code == code
}

// snapshotOf is the registry of a door with a change.
func snapshotOf(s setup, change func(*setup)) *tenants.Snapshot {
	change(&s)
	snapshot, err := tenants.NewSnapshot([]tenants.Cluster{s.cluster}, nil, s.tenants, s.users)
	if err != nil {
		panic(err)
	}
	return snapshot
}
