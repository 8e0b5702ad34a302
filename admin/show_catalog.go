package admin

import (
	"context"
	"encoding/json"
	"strings"

	"howdah/tenants"
	"howdah/tenants/catalog"
)

// recent is how many jobs, and lines of the audit log, are shown.
const recent = 100

// catalogViews are the SHOW commands that are answered by the catalog.
func catalogViews() []Command {
	return []Command{
		{Name: "SHOW JOBS", Usage: "SHOW JOBS [tenant]", Stats: true, argument: argumentOptional, operate: showJobs},
		{Name: "SHOW EXPORTS", Usage: "SHOW EXPORTS [tenant]", Stats: true, argument: argumentOptional, operate: showExports},
		{Name: "SHOW DROPPED", Usage: "SHOW DROPPED", Stats: true, operate: showDropped},
		{Name: "SHOW AUDIT", Usage: "SHOW AUDIT [[LIKE] 'pattern']", argument: argumentOptional, operate: showAudit},
		{Name: "SHOW TOKENS", Usage: "SHOW TOKENS", operate: showTokens},
	}
}

// showJobs has the newest first.
func showJobs(ctx context.Context, o *operating) error {
	all, err := o.fleet.Catalog.Operations(ctx, o.pattern, recent)
	if err != nil {
		return err
	}
	row := o.begin(columns("job s, kind s, tenant s, state s, step s, done i, total i, attempts i, actor s, node s, created T, started T, finished T, error s")).row
	for _, j := range all {
		row(j.ID, j.Kind, j.Tenant, string(j.State), orNull(j.Step), j.Done, j.Total, j.Attempts, j.Actor, orNull(j.Node),
			j.Created, timeOrNull(j.Started), timeOrNull(j.Finished), orNull(j.Error))
	}
	return nil
}

func showDropped(ctx context.Context, o *operating) error {
	all, err := o.fleet.Catalog.DroppedTenants(ctx)
	if err != nil {
		return err
	}
	row := o.begin(columns("tenant s, cluster s, dropped T, kept_until T")).row
	for _, d := range all {
		row(d.Name, d.Settings.Text("cluster"), d.At, d.Purge)
	}
	return nil
}

// showExports has the newest first.
func showExports(ctx context.Context, o *operating) error {
	all, err := o.fleet.ListExports(ctx, o.pattern)
	if err != nil {
		return err
	}
	row := o.begin(columns("export s, tenant s, cluster s, taken T, server i, size q, stored q, held b")).row
	for _, m := range all {
		row(m.ID, m.Tenant, m.Cluster, m.Taken, m.Server, m.Size, m.Stored, m.Held != nil)
	}
	return nil
}

// showAudit has the last lines, the last one first, of what is called like the pattern.
func showAudit(ctx context.Context, o *operating) error {
	all, err := o.fleet.Catalog.LastRecords(ctx, o.pattern, recent)
	if err != nil {
		return err
	}
	row := o.begin(columns("seq q, at T, actor s, door s, from s, action s, kind s, name s, before s, after s")).row
	for _, r := range all {
		row(r.Seq, r.At, r.Actor, r.Door, orNull(r.From), r.Action, string(r.Kind), r.Name, jsonOrNull(r.Before), jsonOrNull(r.After))
	}
	return nil
}

func jsonOrNull(s catalog.Settings) any {
	if len(s) == 0 {
		return nil
	}
	text, _ := json.Marshal(s) // it was JSON before
	return string(text)
}

func showTokens(ctx context.Context, o *operating) error {
	all, err := o.fleet.Catalog.Tokens(ctx)
	if err != nil {
		return err
	}
	row := o.begin(columns("token s, role s, tenant s, created T, expires T, old_until T")).row
	for _, t := range all {
		row(t.Name, t.Role, orNull(t.Tenant), t.Created, timeOrNull(t.Expires), timeOrNull(t.OldUntil))
	}
	return nil
}

// showClusters has those of the catalog and of the file.
func showClusters(s *session, row func(...any)) {
	snapshot := s.console.snapshot()
	if snapshot == nil {
		return
	}
	count := map[string]int{}
	for t := range snapshot.Tenants() {
		count[t.Cluster]++
	}
	used, waiting := map[string]int{}, map[string]int{}
	for _, b := range s.console.Budgets() {
		used[b.Cluster], waiting[b.Cluster] = b.Used, b.Waiting
	}
	for c := range snapshot.Clusters() {
		row(c.Name, memberNames(c), c.Budget, used[c.Name], waiting[c.Name], count[c.Name], yesNo(c.AdminURL != ""))
	}
}

func memberNames(c *tenants.Cluster) any {
	if len(c.Patroni) > 0 {
		return "patroni"
	}
	var all []string
	for _, m := range c.Members {
		all = append(all, m.Address)
	}
	return orNull(strings.Join(all, ", "))
}

func (c *Console) snapshot() *tenants.Snapshot {
	if c.Registry == nil {
		return nil
	}
	return c.Registry.Snapshot()
}

// showTiers has a tier's limits as they are with the defaults.
func showTiers(s *session, row func(...any)) {
	snapshot := s.console.snapshot()
	if snapshot == nil {
		return
	}
	count := map[string]int{}
	for t := range snapshot.Tenants() {
		count[t.Tier]++
	}
	for t := range snapshot.Tiers() {
		row(append([]any{t.Name, count[t.Name]}, limitValues(&t.Limits)...)...)
	}
}
