package admin

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"howdah/tenants/catalog"
)

// entryOperations are those on clusters, or on tiers.
func entryOperations(kind catalog.Kind) []Command {
	noun := strings.ToUpper(string(kind))
	return []Command{
		{Name: "CREATE " + noun, Usage: "CREATE " + noun + " name [SET key = value, ...]", operate: func(ctx context.Context, o *operating) error {
			name, err := o.operand()
			settings := catalog.Settings{}
			if err == nil && o.take("set") {
				settings, err = o.settings()
			}
			if err == nil {
				err = o.end()
			}
			if err != nil {
				return err
			}
			e, err := o.fleet.PutEntry(ctx, o.by, kind, name, 0, settings)
			if err == nil {
				o.entry(e)
			}
			return err
		}},
		{Name: "ALTER " + noun, Usage: "ALTER " + noun + " name SET key = value, ... | RESET key, ...", operate: func(ctx context.Context, o *operating) error {
			name, patch, err := o.patch()
			if err != nil {
				return err
			}
			e, err := o.fleet.SetEntry(ctx, o.by, kind, name, catalog.AnyRevision, patch)
			if err == nil {
				o.entry(e)
			}
			return err
		}},
		{Name: "DROP " + noun, Usage: "DROP " + noun + " name", operate: func(ctx context.Context, o *operating) error {
			name, err := o.only()
			if err != nil {
				return err
			}
			return o.fleet.DeleteEntry(ctx, o.by, kind, name, catalog.AnyRevision)
		}},
	}
}

// entry tells of an entry as it is now.
func (o *operating) entry(e *catalog.Entry) {
	o.begin(columns(string(e.Kind)+" s, settings s, revision q")).row(e.Name, settingsText(e.Settings), e.Revision)
}

// settingsText is JSON of settings without their secrets.
func settingsText(s catalog.Settings) string {
	text, _ := json.Marshal(s.WithoutSecrets()) // it was JSON before
	return string(text)
}

func tokenOperations() []Command {
	return []Command{
		{Name: "CREATE TOKEN", Usage: "CREATE TOKEN name ROLE viewer | operator | admin | tenant [TENANT name] [FOR 'time']", operate: createToken},
		{Name: "ROTATE TOKEN", Usage: "ROTATE TOKEN name [OVERLAP 'time']", operate: rotateToken},
		{Name: "DROP TOKEN", Usage: "DROP TOKEN name", operate: func(ctx context.Context, o *operating) error {
			name, err := o.only()
			if err != nil {
				return err
			}
			return o.fleet.DeleteToken(ctx, o.by, name)
		}},
	}
}

// createToken is also how the first token comes to be.
func createToken(ctx context.Context, o *operating) error {
	var t catalog.Token
	err := o.named(&t.Name, clauses{
		"role":   o.text(&t.Role),
		"tenant": o.text(&t.Tenant),
		"for": func() error {
			lasts, err := o.duration()
			end := time.Now().Add(lasts)
			t.Expires = &end
			return err
		},
	})
	if err != nil {
		return err
	}
	made, text, err := o.fleet.CreateToken(ctx, o.by, t)
	if err != nil {
		return err
	}
	o.token(made, text)
	return nil
}

func rotateToken(ctx context.Context, o *operating) error {
	name, overlap := "", time.Duration(0)
	err := o.named(&name, clauses{"overlap": func() (err error) { overlap, err = o.duration(); return err }})
	if err != nil {
		return err
	}
	made, text, err := o.fleet.RotateToken(ctx, o.by, name, overlap)
	if err != nil {
		return err
	}
	o.token(made, text)
	return nil
}

// token tells of a token with its text.
func (o *operating) token(t *catalog.Token, text string) {
	o.begin(columns("token s, role s, tenant s, expires T, secret s")).row(t.Name, t.Role, orNull(t.Tenant), timeOrNull(t.Expires), text)
	o.notice("the secret is told once: keep it", "")
}

func timeOrNull(t *time.Time) any {
	if t == nil {
		return nil
	}
	return *t
}
