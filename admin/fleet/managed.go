package fleet

import (
	"context"
	"fmt"

	"howdah/tenants/catalog"
	"howdah/wire"
)

// Settings of a user's entry.
const (
	verifierSetting     = "verifier"
	oldVerifiersSetting = "old_verifiers"
	serverKeysSetting   = "server_keys"
)

// newUser returns what the catalog says of a user whose password is behind verifier, and
// what the role on the cluster is to have for its password. With a master key the user is
// managed: the role has a secret that only Howdah knows, whatever the password is.
// Without, it is the password's.
func (f *Fleet) newUser(verifier *wire.Verifier) (_ catalog.Settings, serverVerifier string, err error) {
	user := catalog.Settings{verifierSetting: verifier.String()}
	if f.MasterKey() == nil {
		return user, verifier.String(), nil
	}
	sealed, serverVerifier, err := f.newServerKey()
	user[serverKeysSetting] = []any{sealed}
	return user, serverVerifier, err
}

// newServerKey makes what Howdah logs a user in to servers with: sealed, and what the role
// is to have for its password.
func (f *Fleet) newServerKey() (sealed, verifier string, err error) {
	keys := wire.NewScramKeys()
	sealed, err = f.MasterKey().Seal(keys)
	if err != nil {
		return "", "", fmt.Errorf("make a server key: %w", err)
	}
	return sealed, keys.Verifier().String(), nil
}

// texts returns a setting that is a list of strings.
func texts(s catalog.Settings, name string) (list []string) {
	all, _ := s[name].([]any)
	for _, one := range all {
		if text, ok := one.(string); ok {
			list = append(list, text)
		}
	}
	return list
}

// resealAtOnce bounds the entries that are changed at once.
const resealAtOnce = 100

// Reseal seals anew, with the first identity of the master key, what was sealed with
// others, of dropped tenants too. It returns how much that was.
func (f *Fleet) Reseal(ctx context.Context, by catalog.Actor) (resealed int, err error) {
	if f.MasterKey() == nil {
		return 0, invalid("", "there is no master key: give [catalog] master_key_file")
	}
	for {
		n := 0
		err := f.Catalog.Change(ctx, by, func(tx *catalog.Tx) (err error) {
			n, err = f.resealSome(tx)
			return err
		})
		resealed += n
		if err != nil || n == 0 {
			return resealed, err
		}
	}
}

// resealSome is a part of Reseal, and returns 0 when nothing is left to do.
func (f *Fleet) resealSome(tx *catalog.Tx) (n int, err error) {
	entries, err := tx.Entries()
	if err != nil {
		return 0, err
	}
	for _, e := range entries {
		if e.Kind != catalog.User || n == resealAtOnce {
			continue
		}
		anew, err := f.resealed(e.Settings)
		if err != nil {
			return 0, fmt.Errorf("user %q: %w", e.Name, err)
		}
		if anew == nil {
			continue
		}
		n++
		if err := tx.Update(catalog.User, e.Name, e.Revision, anew); err != nil {
			return 0, err
		}
	}
	dropped, err := tx.DroppedTenants()
	if err != nil {
		return 0, err
	}
	for _, d := range dropped {
		anew, err := f.resealed(d.User)
		if err != nil {
			return 0, fmt.Errorf("dropped tenant %q: %w", d.Name, err)
		}
		if anew == nil || n == resealAtOnce {
			continue
		}
		n++
		if err := tx.UpdateDropped(d.Operation, anew); err != nil {
			return 0, err
		}
	}
	return n, nil
}

// resealed returns a user's settings with what the first identity has sealed, nil if that
// is what they have.
func (f *Fleet) resealed(user catalog.Settings) (catalog.Settings, error) {
	key, changed, anew := f.MasterKey(), false, []any{}
	for _, sealed := range texts(user, serverKeysSetting) {
		if !key.Seals(sealed) {
			keys, err := key.Open(sealed)
			if err != nil {
				return nil, err
			}
			if sealed, err = key.Seal(keys); err != nil {
				return nil, err
			}
			changed = true
		}
		anew = append(anew, sealed)
	}
	if !changed {
		return nil, nil
	}
	return patched(user, map[string]any{serverKeysSetting: anew}), nil
}
