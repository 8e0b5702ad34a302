package fleet

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"howdah/admin/jobs"
	"howdah/provision"
	"howdah/tenants"
	"howdah/tenants/catalog"
	"howdah/wire"
)

// Overlap is for how long an old password goes on if nobody says otherwise.
const Overlap = 24 * time.Hour

// maxOverlap bounds it.
const maxOverlap = 366 * 24 * time.Hour

// maxOldPasswords may be valid beside a new one.
const maxOldPasswords = 3

// NewPassword is what a tenant's user is to have.
type NewPassword struct {
	Password string        // "" = a new one
	Overlap  time.Duration // for how long the old ones go on; 0 ends them
	Server   bool          // the secret at the server is changed too
	Once     *Once         // nil = it is another password each time
	Dry      bool          // only say what would be done
}

// Rotation is a password that is being changed.
type Rotation struct {
	Operation *catalog.Operation `json:"operation,omitempty"` // nil for a dry run
	Name      string             `json:"name"`
	User      string             `json:"user"`
	Password  string             `json:"password,omitempty"` // told once
	Steps     []string           `json:"steps,omitempty"`    // of a dry run
}

// rotating are the parameters of the operation.
type rotating struct {
	onTenant
	User           string           `json:"user"`
	Overlap        time.Duration    `json:"overlap"`
	Verifier       string           `json:"verifier"`                  // of the new password
	ServerKey      string           `json:"server_key,omitempty"`      // sealed; "" = none is new
	ServerVerifier string           `json:"server_verifier,omitempty"` // that the role is to have; "" = what it has
	Before         catalog.Settings `json:"before"`                    // of the user's entry
}

// RotateTenant begins to give a tenant's user another password. A user that is managed
// keeps the one before for a while; one that is not becomes managed if there is a master
// key, and else has only the new one.
func (f *Fleet) RotateTenant(ctx context.Context, by catalog.Actor, name string, n NewPassword) (*Rotation, error) {
	if n.Overlap < 0 || n.Overlap > maxOverlap {
		return nil, invalid("overlap", "%v is no time for which an old password may go on: 0 to %v", n.Overlap, maxOverlap)
	}
	request := n.hash(name)
	if err := checkPassword(n.Password); err != nil {
		return nil, err
	}
	if n.Password == "" {
		n.Password = rand.Text()
	}
	made := &Rotation{Name: name, Password: n.Password}
	var p *rotating
	err := f.Catalog.Change(ctx, by, func(tx *catalog.Tx) error {
		if n.Once != nil && !n.Dry {
			var first Rotation
			if again, err := n.Once.again(tx, request, &first); again || err != nil {
				*made = first
				return err
			}
		}
		var err error
		if p, err = f.planRotation(tx, name, &n); err != nil {
			return err
		}
		made.User = p.User
		if n.Dry {
			return nil
		}
		if made.Operation, err = f.runner.Begin(ctx, tx, "rotate", name, p); err != nil || n.Once == nil {
			return err
		}
		return n.Once.keep(tx, request, made)
	})
	if err != nil {
		return nil, err
	}
	if n.Dry {
		made.Password = ""
		made.Steps, err = p.preview(ctx, f)
	}
	return made, err
}

// hash is the same for the same request of the same client, as NewTenant's.
func (n *NewPassword) hash(name string) []byte {
	request := *n
	request.Once = nil
	text, _ := json.Marshal([]any{"rotate", name, request}) // texts and numbers
	if n.Once != nil {
		text = append(text, n.Once.Secret...)
	}
	sum := sha256.Sum256(text)
	return sum[:]
}

// planRotation says what is to be changed, if it can be.
func (f *Fleet) planRotation(tx *catalog.Tx, name string, n *NewPassword) (*rotating, error) {
	e, err := f.tenant(tx, name)
	if err != nil {
		return nil, err
	}
	p := &rotating{onTenant: onTenant{e.ID, e.Settings.Text("cluster")}, User: e.Settings.Text("user"), Overlap: n.Overlap}
	u, err := tx.Entry(catalog.User, p.User)
	if _, ok := f.Registry.Snapshot().User(p.User); ok && errors.Is(err, catalog.ErrNotFound) {
		return nil, fmt.Errorf("user %q: %w", p.User, ErrFile)
	} else if err != nil {
		return nil, err
	}
	p.Before = u.Settings
	if err := p.setVerifier(n); err != nil {
		return nil, err
	}
	managed, canBe := len(texts(u.Settings, serverKeysSetting)) > 0, f.MasterKey() != nil
	const without = "without master_key_file in [catalog] the password is the server's too"
	switch {
	case n.Server && !canBe:
		return nil, invalid("server", without+", and Howdah has no secret of its own there")
	case n.Overlap > 0 && !managed && !canBe:
		return nil, invalid("overlap", without+", which knows one at a time: give an overlap of 0, or a master key")
	case canBe && (n.Server || !managed):
		p.ServerKey, p.ServerVerifier, err = f.newServerKey()
	case !managed:
		p.ServerVerifier = p.Verifier
	}
	return p, err
}

// setVerifier makes the verifier of the new password: with the old one's salt, so that a
// client that hears of one salt can prove either.
func (p *rotating) setVerifier(n *NewPassword) error {
	before, err := wire.ParseVerifier(p.Before.Text(verifierSetting))
	switch {
	case err != nil && n.Overlap > 0:
		return invalid("overlap", "the password of user %q is kept for md5, which checks one at a time: give an overlap of 0", p.User)
	case err != nil:
		p.Verifier = wire.MakeVerifier(n.Password, 0, nil).String()
		return nil
	case before.Matches(n.Password):
		return invalid("password", "it is the password that user %q has", p.User)
	case before.Iterations > wire.MaxScramIterations:
		return invalid("", "the verifier of user %q has %d iterations, which is too many", p.User, before.Iterations)
	case n.Overlap > 0 && len(stillValid(p.Before, time.Now())) >= maxOldPasswords:
		return invalid("overlap", "%d old passwords are valid already: wait until one expires, or give an overlap of 0, which ends all of them", maxOldPasswords)
	}
	p.Verifier = wire.MakeVerifier(n.Password, before.Iterations, before.Salt).String()
	return nil
}

// stillValid are a user's old verifiers that have not expired.
func stillValid(user catalog.Settings, now time.Time) (valid []any) {
	for _, text := range texts(user, oldVerifiersSetting) {
		if until, _, err := tenants.ParseOldVerifier(text); err == nil && now.Before(until) {
			valid = append(valid, text)
		}
	}
	return valid
}

// forgetPasswords removes old verifiers that have expired: nobody is let in by them, and
// they are of passwords that may be in use elsewhere.
func (f *Fleet) forgetPasswords(ctx context.Context) error {
	contents, err := f.Catalog.Load(ctx)
	if err != nil {
		return err
	}
	now := time.Now()
	for _, e := range contents.Entries {
		old := texts(e.Settings, oldVerifiersSetting)
		if e.Kind != catalog.User || len(old) == len(stillValid(e.Settings, now)) {
			continue
		}
		err := f.Catalog.Change(ctx, itself, func(tx *catalog.Tx) error {
			u, err := tx.Entry(catalog.User, e.Name)
			if errors.Is(err, catalog.ErrNotFound) {
				return nil
			} else if err != nil {
				return err
			}
			patch := map[string]any{oldVerifiersSetting: nil}
			if valid := stillValid(u.Settings, now); len(valid) > 0 {
				patch[oldVerifiersSetting] = valid
			}
			return tx.Update(catalog.User, u.Name, u.Revision, patched(u.Settings, patch))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// withKey is the user's entry when the server may know one key or the other.
func (p *rotating) withKey(user catalog.Settings) catalog.Settings {
	keys := []any{}
	for _, key := range texts(p.Before, serverKeysSetting) {
		keys = append(keys, key)
	}
	return patched(user, map[string]any{serverKeysSetting: append(keys, p.ServerKey)})
}

// rotated is the user's entry in the end.
func (p *rotating) rotated(user catalog.Settings) catalog.Settings {
	if user.Text(verifierSetting) == p.Verifier {
		return user // it is done
	}
	patch := map[string]any{verifierSetting: p.Verifier, oldVerifiersSetting: nil}
	if p.Overlap > 0 {
		now := time.Now()
		patch[oldVerifiersSetting] = append(stillValid(user, now), tenants.OldVerifier(now.Add(p.Overlap), user.Text(verifierSetting)))
	}
	if p.ServerKey != "" {
		patch[serverKeysSetting] = []any{p.ServerKey}
	}
	return patched(user, patch)
}

// rotate changes the role's secret, if it is to be changed, and then who is let in. The
// key of a new secret is known before the server has the secret: who logs in to servers
// tries both.
func (f *Fleet) rotate(ctx context.Context, r *jobs.Run) error {
	var p rotating
	if err := r.Decode(&p); err != nil {
		return err
	}
	c := &changing{run: r, cluster: p.Cluster, op: p.operation(p.ServerVerifier), after: 1}
	switch {
	case p.ServerKey != "":
		err := r.Step(ctx, "keep the new server key", 0, 3, func(ctx context.Context) error { return f.putUser(ctx, r, &p, p.withKey) })
		if err != nil {
			return err
		}
		c.done = 1
	case p.ServerVerifier != "": // what the server and clients know is the same: they change together
		release, err := f.hold(ctx, r.ID, []string{r.Tenant})
		if err != nil {
			return err
		}
		defer release()
	}
	if p.ServerVerifier != "" {
		if _, err := f.change(ctx, c, provision.Plan); err != nil {
			return err
		}
	}
	err := r.Step(ctx, "take the new password", c.done, c.done+1, func(ctx context.Context) error { return f.putUser(ctx, r, &p, p.rotated) })
	if err != nil {
		return err
	}
	return r.Finish(ctx, nil, nil)
}

func (p *rotating) operation(verifier string) provision.Rotate {
	return provision.Rotate{ID: p.ID, Role: p.User, Verifier: verifier}
}

// putUser changes the user's entry, and waits until this node goes by it. Clients that
// the operation holds go on with that.
func (f *Fleet) putUser(ctx context.Context, r *jobs.Run, p *rotating, edit func(catalog.Settings) catalog.Settings) error {
	var now catalog.Settings
	err := r.Change(ctx, func(tx *catalog.Tx) error {
		if err := tx.EndHold(r.ID); err != nil {
			return err
		}
		u, err := tx.Entry(catalog.User, p.User)
		if err != nil {
			return err
		}
		now = edit(maps.Clone(u.Settings))
		if reflect.DeepEqual(now, u.Settings) {
			return nil
		}
		return tx.Update(catalog.User, p.User, u.Revision, now)
	})
	if err == nil {
		f.settle(ctx, func(s *tenants.Snapshot) bool {
			u, ok := s.User(p.User)
			return ok && u.Verifier == now.Text(verifierSetting) && slices.Equal(u.ServerKeys, texts(now, serverKeysSetting)) &&
				slices.Equal(u.OldVerifiers, texts(now, oldVerifiersSetting))
		})
	}
	return err
}

// unrotate has everything as it was before: the new password, if it was taken, is no
// more.
func (f *Fleet) unrotate(ctx context.Context, r *jobs.Run) error {
	var p rotating
	if err := r.Decode(&p); err != nil {
		return err
	}
	c := &changing{run: r, cluster: p.Cluster, after: 1}
	if p.ServerVerifier != "" {
		verifier, err := f.serverVerifier(p.Before)
		if err != nil {
			return err
		}
		c.op = p.operation(verifier)
		_, err = f.change(ctx, c, provision.Plan)
		if err != nil && !errors.Is(err, provision.ErrConflict) && !errors.Is(err, provision.ErrNotFound) { // else it was not changed
			return err
		}
	}
	return r.Step(ctx, "keep the old password", c.done, c.done+1, func(ctx context.Context) error {
		return f.putUser(ctx, r, &p, func(catalog.Settings) catalog.Settings { return p.Before })
	})
}

// serverVerifier is what the role of a user has, or as good, for its password.
func (f *Fleet) serverVerifier(user catalog.Settings) (string, error) {
	keys := texts(user, serverKeysSetting)
	if len(keys) == 0 {
		return user.Text(verifierSetting), nil
	}
	opened, err := f.MasterKey().Open(keys[0])
	if err != nil {
		return "", err
	}
	return opened.Verifier().String(), nil
}
