package admin

import (
	"context"
	"slices"
	"strings"

	"howdah/admin/fleet"
	"howdah/tenants/catalog"
)

func tenantOperations() []Command {
	return []Command{
		{
			Name: "CREATE TENANT", operate: createTenant,
			Usage: "CREATE TENANT name [ON CLUSTER name] [TIER name] [DATABASE name] [OWNER name] [TEMPLATE name] [PASSWORD 'text'] [SET key = value, ...]",
		},
		{Name: "ALTER TENANT", Usage: "ALTER TENANT name SET key = value, ... | RESET key, ...", operate: alterTenant},
		{Name: "SUSPEND TENANT", Usage: "SUSPEND TENANT name", operate: onTenant((*fleet.Fleet).SuspendTenant)},
		{Name: "RESUME TENANT", Usage: "RESUME TENANT name", operate: onTenant((*fleet.Fleet).ResumeTenant)},
		{Name: "RENAME TENANT", Usage: "RENAME TENANT name TO name [OWNER name]", operate: renameTenant},
		{
			Name: "CLONE TENANT", operate: cloneTenant,
			Usage: "CLONE TENANT name AS name [ON CLUSTER name] [TIER name] [PASSWORD 'text'] [BY auto | template | dump] [NEUTRALISE auto | builtin | none]",
		},
		{Name: "MOVE TENANT", Usage: "MOVE TENANT name TO CLUSTER name [BY auto | replicate | dump]", operate: moveTenant},
		{Name: "EXPORT TENANT", Usage: "EXPORT TENANT name", operate: exportTenant},
		{
			Name: "RESTORE TENANT", operate: restoreTenant,
			Usage: "RESTORE TENANT name TO 'when' [AS name] [PASSWORD 'text'] [NEUTRALISE auto | builtin | none] [SWAP]",
		},
		{Name: "UNRESTORE TENANT", Usage: "UNRESTORE TENANT name", operate: unrestoreTenant},
		{Name: "GRACE TENANT", Usage: "GRACE TENANT name [FOR 'time']", operate: graceTenant},
		{
			Name: "IMPORT TENANT", operate: importTenant,
			Usage: "IMPORT TENANT name FROM 'export' [ON CLUSTER name] [TIER name] [DATABASE name] [OWNER name] [PASSWORD 'text'] [NEUTRALISE auto | builtin | none] [SET key = value, ...]",
		},
		{
			Name: "ROTATE TENANT", operate: rotateTenant,
			Usage: "ROTATE TENANT name [PASSWORD 'text'] [OVERLAP 'time'] [SERVER]",
		},
		{Name: "DROP TENANT", Usage: "DROP TENANT name [KEEP 'time'] [WITHOUT EXPORT]", operate: dropTenant},
		{Name: "UNDROP TENANT", Usage: "UNDROP TENANT name", operate: onTenant((*fleet.Fleet).UndropTenant)},
		{Name: "PURGE TENANT", Usage: "PURGE TENANT name", operate: onTenant((*fleet.Fleet).PurgeTenant)},
	}
}

// onTenant is of operations that need to know no more than a tenant's name.
func onTenant(do func(*fleet.Fleet, context.Context, catalog.Actor, string) (*catalog.Operation, error)) func(context.Context, *operating) error {
	return func(ctx context.Context, o *operating) error {
		name, err := o.only()
		if err != nil {
			return err
		}
		job, err := do(o.fleet, ctx, o.by, name)
		if err == nil {
			o.begun(job)
		}
		return err
	}
}

func createTenant(ctx context.Context, o *operating) error {
	n, err := o.newTenant("")
	if err != nil {
		return err
	}
	made, err := o.fleet.CreateTenant(ctx, o.by, *n, false)
	if err != nil {
		return err
	}
	o.made(made)
	return nil
}

// importTenant reads what CREATE TENANT does, behind the export.
func importTenant(ctx context.Context, o *operating) error {
	if len(o.words) < 3 || !strings.EqualFold(o.words[1].text, "from") || !o.words[2].isOperand() {
		return o.bad()
	}
	id := o.words[2].text
	o.words = slices.Delete(o.words, 1, 3)
	n, err := o.newTenant(id)
	if err != nil {
		return err
	}
	made, err := o.fleet.ImportTenant(ctx, o.by, *n, false)
	if err == nil {
		o.made(made)
	}
	return err
}

// made tells of a tenant that is being made.
func (o *operating) made(made *fleet.Creation) {
	o.begin(columns("tenant s, cluster s, database s, user s, password s, job s")).
		row(made.Name, made.Cluster, made.Database, made.User, made.Password, made.Operation.ID)
	o.notice("the password is told once: keep it", "")
	o.jobNotice(made.Operation.ID)
}

// newTenant reads what a tenant is to be; export is "" for one that is not imported.
func (o *operating) newTenant(export string) (*fleet.NewTenant, error) {
	n := &fleet.NewTenant{Export: export}
	all := clauses{
		"on":       o.cluster(&n.Cluster),
		"tier":     o.text(&n.Tier),
		"database": o.text(&n.Database),
		"owner":    o.text(&n.User),
		"template": o.text(&n.Template),
		"password": o.text(&n.Password),
		"set":      func() (err error) { n.Settings, err = o.settings(); return err },
	}
	if export != "" {
		all["neutralise"] = o.text((*string)(&n.Neutralise))
	}
	return n, o.named(&n.Name, all)
}

func cloneTenant(ctx context.Context, o *operating) error {
	source, err := o.operand()
	if err != nil {
		return err
	}
	if !o.take("as") {
		return o.bad()
	}
	n, err := o.newClone()
	if err != nil {
		return err
	}
	made, err := o.fleet.CloneTenant(ctx, o.by, source, *n, false)
	if err != nil {
		return err
	}
	o.begin(columns("tenant s, cluster s, database s, user s, password s, how s, job s")).
		row(made.Name, made.Cluster, made.Database, made.User, made.Password, made.How, made.Operation.ID)
	o.notice("the password is told once: keep it", "")
	o.jobNotice(made.Operation.ID)
	return nil
}

// newClone reads what a clone is to be.
func (o *operating) newClone() (*fleet.NewClone, error) {
	n := &fleet.NewClone{}
	return n, o.named(&n.Name, clauses{
		"on":         o.cluster(&n.Cluster),
		"tier":       o.text(&n.Tier),
		"password":   o.text(&n.Password),
		"by":         o.text(&n.How),
		"neutralise": o.text((*string)(&n.Neutralise)),
	})
}

func rotateTenant(ctx context.Context, o *operating) error {
	name, n := "", fleet.NewPassword{Overlap: fleet.Overlap}
	err := o.named(&name, clauses{
		"password": o.text(&n.Password),
		"overlap":  func() (err error) { n.Overlap, err = o.duration(); return err },
		"server":   func() error { n.Server = true; return nil },
	})
	if err != nil {
		return err
	}
	made, err := o.fleet.RotateTenant(ctx, o.by, name, n)
	if err != nil {
		return err
	}
	o.begin(columns("tenant s, user s, password s, job s")).row(made.Name, made.User, made.Password, made.Operation.ID)
	o.notice("the password is told once: keep it", "")
	o.jobNotice(made.Operation.ID)
	return nil
}

func moveTenant(ctx context.Context, o *operating) error {
	name, err := o.operand()
	if err != nil {
		return err
	}
	if !o.take("to") || !o.take("cluster") {
		return o.bad()
	}
	to, err := o.operand()
	if err != nil {
		return err
	}
	how := fleet.Auto
	if o.take("by") {
		if how, err = o.operand(); err != nil {
			return err
		}
	}
	if err := o.end(); err != nil {
		return err
	}
	moving, err := o.fleet.MoveTenant(ctx, o.by, name, fleet.Destination{Cluster: to, How: how}, false)
	if err == nil {
		o.begun(moving.Operation)
	}
	return err
}

func exportTenant(ctx context.Context, o *operating) error {
	name, err := o.only()
	if err != nil {
		return err
	}
	made, err := o.fleet.ExportTenant(ctx, o.by, name, false)
	if err != nil {
		return err
	}
	o.begin(columns("export s, tenant s, job s")).row(made.Export, made.Name, made.Operation.ID)
	o.jobNotice(made.Operation.ID)
	return nil
}

func alterTenant(ctx context.Context, o *operating) error {
	name, patch, err := o.patch()
	if err != nil {
		return err
	}
	e, err := o.fleet.SetTenant(ctx, o.by, name, catalog.AnyRevision, patch)
	if err == nil {
		o.entry(e)
	}
	return err
}

// patch reads a name and what is to change: null takes a setting away.
func (o *operating) patch() (name string, patch catalog.Settings, err error) {
	if name, err = o.operand(); err != nil {
		return "", nil, err
	}
	switch {
	case o.take("set"):
		patch, err = o.settings()
	case o.take("reset"):
		patch, err = o.keys()
	default:
		err = o.bad()
	}
	if err == nil {
		err = o.end()
	}
	return name, patch, err
}

// keys reads names of settings that are to be taken away.
func (o *operating) keys() (catalog.Settings, error) {
	patch := catalog.Settings{}
	for {
		key, err := o.operand()
		if err != nil {
			return nil, err
		}
		patch[key] = nil
		if len(o.words) == 0 || o.words[0].kind != ',' {
			return patch, nil
		}
		o.words = o.words[1:]
	}
}

func renameTenant(ctx context.Context, o *operating) error {
	name, err := o.operand()
	if err != nil {
		return err
	}
	if !o.take("to") {
		return o.bad()
	}
	to, err := o.operand()
	user := ""
	if err == nil && o.take("owner") {
		user, err = o.operand()
	}
	if err == nil {
		err = o.end()
	}
	if err != nil {
		return err
	}
	made, err := o.fleet.RenameTenant(ctx, o.by, name, to, user, false)
	if err == nil {
		o.begun(made.Operation)
	}
	return err
}

func graceTenant(ctx context.Context, o *operating) error {
	name, err := o.operand()
	if err != nil {
		return err
	}
	lasts := fleet.GraceFor
	if o.take("for") {
		if lasts, err = o.duration(); err != nil {
			return err
		}
	}
	if err := o.end(); err != nil {
		return err
	}
	e, err := o.fleet.GraceTenant(ctx, o.by, name, lasts)
	if err == nil {
		o.entry(e)
	}
	return err
}

func dropTenant(ctx context.Context, o *operating) error {
	name, err := o.operand()
	if err != nil {
		return err
	}
	keep := fleet.KeepFor
	if o.take("keep") {
		if keep, err = o.duration(); err != nil {
			return err
		}
	}
	drop := o.fleet.DropTenant
	if o.take("without") {
		if !o.take("export") {
			return o.bad()
		}
		drop = o.fleet.DropUnexported
	}
	if err := o.end(); err != nil {
		return err
	}
	job, err := drop(ctx, o.by, name, keep)
	if err == nil {
		o.begun(job)
	}
	return err
}
