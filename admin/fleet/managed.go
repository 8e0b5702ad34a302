package fleet

import (
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
