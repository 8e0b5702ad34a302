package fleet

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"howdah/provision/odoo"
	"howdah/tenants/catalog"
	"howdah/wire"
)

// Template clones a tenant by a copy of its database's files, while its clients are held;
// Dump does it without.
const Template = "template"

// NewClone is a tenant to be made as a copy of another. Only the name must be given.
type NewClone struct {
	Name       string // the database's and the user's too
	Cluster    string // "" = the source's
	Tier       string // "" = the source's
	Password   string // "" = a new one
	How        string // "" = Auto
	Neutralise odoo.Way
	// AnotherStore is that the cluster may be one that is backed up to another store.
	AnotherStore bool  `json:",omitempty"`
	Once         *Once // nil = it is another tenant each time
}

// Cloning is a tenant that is being made as a copy of another.
type Cloning struct {
	Creation
	Source     string   `json:"source"`
	How        string   `json:"how" doc:"template or dump"`
	WhyHow     string   `json:"why_how" doc:"why in that way"`
	HeldFor    float64  `json:"held_for_seconds" doc:"for about how long the source's clients will be held; 0 is not at all"`
	Neutralise odoo.Way `json:"neutralise" doc:"auto, builtin or none"`
}

// cloning are the parameters of the operation.
type cloning struct {
	creation
	Source     origin   `json:"source"`
	How        string   `json:"how"`
	Neutralise odoo.Way `json:"neutralise"`
	Model      float64  `json:"model"` // for how many seconds clients would be held on a cluster of which nothing is known
	// Bounded has a copy by template be broken off when it holds clients for longer than was
	// guessed: nobody has asked for that. BrokenOff says for how many seconds it held them.
	Bounded   bool    `json:"bounded,omitempty"`
	BrokenOff float64 `json:"broken_off,omitempty"`
}

// origin is the tenant of which a copy is made.
type origin struct {
	onTenant
	Name     string `json:"name"`
	Database string `json:"database"`
	User     string `json:"user"`
}

// CloneTenant begins to make a tenant as a copy of another, or with dry says what it would
// do.
func (f *Fleet) CloneTenant(ctx context.Context, by catalog.Actor, source string, n NewClone, dry bool) (*Cloning, error) {
	request := n.hash(source)
	if first, err := answered[Cloning](ctx, f, by, n.Once, request); first != nil || err != nil {
		return first, err
	}
	n.Neutralise = cmp.Or(n.Neutralise, odoo.Auto)
	if err := checkWay(n.Neutralise); err != nil {
		return nil, err
	}
	e, err := f.clonable(ctx, by, source)
	if err != nil {
		return nil, err
	}
	p, made, err := f.planClone(ctx, e, n)
	if err != nil {
		return nil, err
	}
	if dry {
		made.Password, made.Steps = "", p.says(n.Name)
		return made, nil
	}
	err = f.Catalog.Change(ctx, by, func(tx *catalog.Tx) error {
		if n.Once != nil { // the same request may have come at the same time
			var first Cloning
			if again, err := n.Once.again(tx, request, &first); again || err != nil {
				*made = first
				return err
			}
		}
		if err := p.Source.stays(tx); err != nil {
			return err
		}
		err := f.fits(tx, n.Name, p.Settings, p.UserSettings, "")
		if err != nil {
			return err
		}
		if made.Operation, err = f.runner.Begin(ctx, tx, "clone", n.Name, p, source); err != nil || n.Once == nil {
			return err
		}
		return n.Once.keep(tx, request, made)
	})
	return made, err
}

func checkWay(w odoo.Way) error {
	if w != odoo.Auto && w != odoo.BuiltIn && w != odoo.None {
		return invalid("neutralise", "%q is none of auto, builtin and none", w)
	}
	return nil
}

// hash is as NewTenant's.
func (n *NewClone) hash(source string) []byte {
	request := *n
	request.Once = nil
	text, _ := json.Marshal(request)
	text = append([]byte("clone "+source+"\x00"), text...)
	if n.Once != nil {
		text = append(text, n.Once.Secret...)
	}
	sum := sha256.Sum256(text)
	return sum[:]
}

// clonable returns the entry of a tenant that can be cloned now.
func (f *Fleet) clonable(ctx context.Context, by catalog.Actor, name string) (e *catalog.Entry, err error) {
	err = f.Catalog.Change(ctx, by, func(tx *catalog.Tx) (err error) {
		if e, err = f.tenant(tx, name); err != nil {
			return err
		}
		return tx.Free(name)
	})
	switch {
	case err != nil:
		return nil, err
	case stateOf(e) == suspended:
		return nil, invalid("", "tenant %q is suspended: resume it, then clone it", name)
	}
	return e, nil
}

// planClone decides what is made, and how.
func (f *Fleet) planClone(ctx context.Context, e *catalog.Entry, n NewClone) (*cloning, *Cloning, error) {
	s := e.Settings
	p := &cloning{Source: origin{onTenant{e.ID, s.Text("cluster")}, e.Name, s.Text("database"), s.Text("user")}, Neutralise: n.Neutralise}
	t := NewTenant{Name: n.Name, Cluster: n.Cluster, Tier: n.Tier, Password: n.Password, Settings: ownSettings(s)}
	why := ""
	if t.Cluster == "" {
		t.Cluster, why = p.Source.Cluster, "the source is there"
	}
	if t.Tier == "" {
		t.Tier = s.Text("tier")
	}
	t, asked, err := f.complete(ctx, t, f.reach)
	if err != nil {
		return nil, nil, err
	}
	if why == "" {
		why = asked
	}
	if !n.AnotherStore {
		target, err := f.cluster(t.Cluster)
		if err == nil {
			err = f.tenantStays("cluster", e, target)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	user, serverVerifier, err := f.newUser(wire.MakeVerifier(t.Password, 0, nil))
	if err != nil {
		return nil, nil, err
	}
	p.creation = creation{ID: newID(), Cluster: t.Cluster, User: t.User, UserSettings: user, ServerVerifier: serverVerifier, Settings: t.entry()}
	facts, err := f.lookToClone(ctx, p)
	if err != nil {
		return nil, nil, err
	}
	factor, err := f.paceOf(ctx, p.Source.Cluster)
	if err != nil {
		return nil, nil, err
	}
	made := &Cloning{
		Creation: Creation{Name: t.Name, Cluster: t.Cluster, Why: why, Database: t.Database, User: t.User, Password: t.Password},
		Source:   e.Name, Neutralise: n.Neutralise,
	}
	if err := made.choose(facts, n.How, factor); err != nil {
		return nil, nil, err
	}
	p.How, p.Model = made.How, facts.copyTime().Seconds()
	p.Bounded = made.How == Template && n.How != Template
	return p, made, nil
}

// ownSettings are the source's that its clone has too.
func ownSettings(s catalog.Settings) catalog.Settings {
	own := maps.Clone(s)
	for _, name := range []string{"cluster", "database", "user", "tier", "state", "loops"} {
		delete(own, name)
	}
	return own
}

// stays is an error where the tenant is another by now, or is suspended.
func (o *origin) stays(tx *catalog.Tx) error {
	e, err := tx.Entry(catalog.Tenant, o.Name)
	switch {
	case err != nil:
		return err
	case e.ID != o.ID, e.Settings.Text("cluster") != o.Cluster, e.Settings.Text("database") != o.Database, stateOf(e) == suspended:
		return fmt.Errorf("tenant %q: %w: try again", o.Name, catalog.ErrChanged)
	}
	return nil
}

// What a copy by template takes: cautious guesses for two cores, until a cluster's clones
// have been measured.
const (
	copyBase        = 150 * time.Millisecond
	copyPerRelation = 1200 * time.Microsecond
	copyRate        = 60 << 20 // bytes in a second
	copyAtMost      = time.Second
)

// copyTime guesses for how long clients are held by a copy by template.
func (c *cloneFacts) copyTime() time.Duration {
	return copyBase + time.Duration(c.Relations)*copyPerRelation + time.Duration(c.Size)*time.Second/copyRate
}

// paceOf says how many times as long as the guess a cluster's copies take: what the
// slowest of the last ones took, and a quarter more. Of one that was broken off it is known
// that it would have taken longer; it counts for a day, as then nothing that is as slow
// would be tried again.
func (f *Fleet) paceOf(ctx context.Context, cluster string) (factor float64, err error) {
	err = f.Catalog.Pool().QueryRow(ctx, `select coalesce(1.25 * max(held / model), 1) from (
		select (result ->> 'held_seconds')::float8 as held, (result ->> 'model_seconds')::float8 as model from howdah.operation
		where kind = 'clone' and state = 'done' and result ->> 'from' = $1 and (result ->> 'how' = 'template' or finished_at > now() - interval '1 day')
			and result ? 'held_seconds'
		order by finished_at desc limit 5) last where held > 0 and model > 0`, cluster).Scan(&factor)
	if err != nil {
		return 0, fmt.Errorf("look how long clones took: %w", err)
	}
	return min(max(factor, 0.1), 10), nil
}

// choose decides how the tenant is cloned.
func (c *Cloning) choose(f *cloneFacts, how string, factor float64) error {
	held := time.Duration(factor * float64(f.copyTime()))
	c.How, c.WhyHow = how, "it was asked for"
	switch {
	case how == Template && f.Uncopyable != "":
		return invalid("how", "it cannot be copied by template: %s", f.Uncopyable)
	case how == Dump && f.Undumpable != "":
		return invalid("how", "it cannot be dumped and restored: %s", f.Undumpable)
	case how == Template || how == Dump:
	case how != Auto && how != "":
		return invalid("how", "%q is none of auto, template and dump", how)
	case f.Uncopyable == "" && held <= copyAtMost:
		c.How, c.WhyHow = Template, "that takes under a second"
	case f.Undumpable == "" && f.Uncopyable == "":
		c.How, c.WhyHow = Dump, fmt.Sprintf("a copy by template would hold the source's clients for about %s", shortly(held))
	case f.Undumpable == "":
		c.How, c.WhyHow = Dump, "it cannot be copied by template: "+f.Uncopyable
	case f.Uncopyable == "":
		return invalid("how", "it cannot be dumped and restored: %s; and to hold its clients for about %s, as a copy by template would, must be asked for: say template", f.Undumpable, shortly(held))
	default:
		return invalid("how", "it cannot be copied by template: %s; nor dumped and restored: %s", f.Uncopyable, f.Undumpable)
	}
	if c.How == Template {
		c.HeldFor = held.Seconds()
	}
	return nil
}

// says are the steps of a dry run.
func (p *cloning) says(name string) []string {
	steps := []string{fmt.Sprintf("make role %q, which may log in and nothing else", p.User)}
	if p.How == Template {
		steps = append(steps,
			fmt.Sprintf("let nobody into database %q and copy it (the source's clients are held meanwhile)", p.Source.Database),
			fmt.Sprintf("make role %q the owner of what is in the copy", p.User))
	} else {
		steps = append(steps,
			fmt.Sprintf("make an empty database on cluster %q", p.Cluster),
			fmt.Sprintf("dump database %q from one snapshot, and restore it there as role %q (the source's clients work on)", p.Source.Database, p.User))
	}
	switch p.Neutralise {
	case odoo.None:
		steps = append(steps, "if it is an Odoo database, give it another uuid and secret; it is not neutralised")
	default:
		steps = append(steps, fmt.Sprintf("if it is an Odoo database, neutralise it as role %q, and give it another uuid and secret", p.User))
	}
	return append(steps,
		fmt.Sprintf("rename it %q, give it to role %q and nobody else, and open it", p.Settings.Text("database"), p.User),
		fmt.Sprintf("enter tenant %q into the registry", name))
}
