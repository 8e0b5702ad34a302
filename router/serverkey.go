package router

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"howdah/tenants"
	"howdah/wire"
)

// keysPatience is for how long a server's login waits for other keys of a user whose
// keys the server does not take: they are being changed, and this node hears of it late.
const keysPatience = 500 * time.Millisecond

// dialAs logs a user in to a server. Managed users have keys for that, of which the
// server takes one; others what their login here has shown, nil for nothing.
func (s *Server) dialAs(ctx context.Context, c wire.DialConfig, user string, shown *wire.Secret) (*wire.Established, error) {
	for {
		u := s.userOf(user)
		secrets, err := s.secretsOf(u, shown)
		if err != nil {
			return nil, err
		}
		var est *wire.Established
		for _, secret := range secrets {
			c.Secret = *secret
			if est, err = wire.Dial(ctx, c); !wrongPassword(err) {
				return est, err
			}
		}
		if !s.keysChange(ctx, user, u) {
			return nil, err
		}
	}
}

// secretsOf returns with what a user may be logged in to servers, of which there is at
// least one. What a login has shown comes last: the user may just have become managed.
func (s *Server) secretsOf(u *tenants.User, shown *wire.Secret) (secrets []*wire.Secret, err error) {
	if shown == nil {
		shown = &wire.Secret{}
	}
	if u == nil || len(u.ServerKeys) == 0 {
		return []*wire.Secret{shown}, nil
	}
	for _, sealed := range u.ServerKeys {
		keys, err := s.openKey(sealed)
		if err != nil {
			s.log.Error("cannot open the key of a managed user", "user", u.Name, "error", err)
			continue
		}
		secrets = append(secrets, &wire.Secret{Scram: &keys})
	}
	if len(secrets) == 0 {
		return nil, noMasterKey(u)
	}
	if shown.Scram != nil {
		secrets = append(secrets, shown)
	}
	return secrets, nil
}

func (s *Server) openKey(sealed string) (wire.ScramKeys, error) {
	if open := s.config().OpenKey; open != nil {
		return open(sealed)
	}
	return wire.ScramKeys{}, errors.New("there is no master key")
}

// servable is an error for a managed user who could not be logged in to any server here.
func (s *Server) servable(u *tenants.User) error {
	for _, sealed := range u.ServerKeys {
		if _, err := s.openKey(sealed); err == nil {
			return nil
		}
	}
	if len(u.ServerKeys) > 0 {
		return noMasterKey(u)
	}
	return nil
}

// noMasterKey is what PostgreSQL might say, so that no pool takes the member for dead.
func noMasterKey(u *tenants.User) *wire.Error {
	return wire.Fatal(wire.CodeInvalidAuthorization, fmt.Sprintf("user %q is managed, and this Howdah has no master key that opens its secret", u.Name),
		"Give it the other nodes' master_key_file in [catalog].")
}

func wrongPassword(err error) bool {
	var e *wire.Error
	return errors.As(err, &e) && e.Code == wire.CodeInvalidPassword
}

// keysChange reports whether the registry has other keys for a user than it had, after a
// while if they are managed ones.
func (s *Server) keysChange(ctx context.Context, user string, before *tenants.User) bool {
	changes, stop := s.registry.Watch()
	defer stop()
	for timeout := time.After(keysPatience); ; {
		had, has := keysOf(before), keysOf(s.userOf(user))
		if !slices.Equal(had, has) {
			return true
		}
		if len(had) == 0 {
			return false
		}
		select {
		case <-changes:
		case <-timeout:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

func keysOf(u *tenants.User) []string {
	if u == nil {
		return nil
	}
	return u.ServerKeys
}
