package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"howdah/backup/keep"
	"howdah/backup/repository"
	"howdah/provision/dump"
	"howdah/tenants/catalog"
)

func backupExpire() *cobra.Command {
	var p printer
	f := clusterFlag{writes: true}
	dry, asSet := false, false
	cmd := &cobra.Command{
		Use: "expire", Short: "Delete base backups, WAL and exports that are not to be kept any more", Args: noArgs,
		Long: "Delete what is not kept of a cluster by keep_base and keep_window of [backup], or of the tiers of its tenants:\n" +
			"base backups, the WAL that only they needed, and exports older than keep_exports_window. What is held stays, so does\n" +
			"the last base backup that can be restored, and what is not known stays and is named. While a base backup is being\n" +
			"taken, or the clock does not fit to what is stored, as where nothing was stored for a day, no base backup and no WAL is\n" +
			"deleted. --dry-run says what would be, and why the rest is kept.\n\n" +
			"Where more was set before, for a tenant that has left the cluster or its tier since, or by another setting, however\n" +
			"briefly, that much is kept, also of the time since, until the time when it was set is as old as that. --as-set lets it\n" +
			"go at once.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			config, r, err := f.open(cmd)
			if err != nil {
				return err
			}
			whole, audit, err := config.withCatalog(ctx, atTheShell())
			if err != nil {
				return err
			}
			e, err := whole.planExpiry(ctx, r, asSet)
			if err != nil {
				return notThere(err)
			}
			e.Dry = dry
			if err := e.print(cmd, &p); err != nil || dry {
				return err
			}
			if err := audit("expire", r.Cluster, e.told()); err != nil {
				return err
			}
			return e.run(ctx)
		},
	}
	cmd.Flags().BoolVar(&dry, "dry-run", false, "delete nothing, and say what would be deleted")
	cmd.Flags().BoolVar(&asSet, "as-set", false, "keep no more than is set now, though more was before")
	f.flags(cmd)
	return p.flags(cmd)
}

// expiry is what expires of a cluster, as it is printed.
type expiry struct {
	Cluster    string      `json:"cluster"`
	Dry        bool        `json:"dry_run"`
	Idle       string      `json:"nothing_is_deleted,omitempty"`
	KeepBase   int         `json:"keep_base"`
	KeepWindow float64     `json:"keep_window"` // seconds
	Promised   []string    `json:"promised,omitempty"`
	AsSet      bool        `json:"as_set,omitempty"`
	From       *time.Time  `json:"restorable_from,omitempty"`
	Keep       []keptRow   `json:"keep"`
	Expire     []string    `json:"expire"`
	Left       []string    `json:"unfinished,omitempty"`
	WAL        keep.Amount `json:"wal"`
	WALKept    keep.Amount `json:"wal_kept"`
	Gaps       int         `json:"gaps"`
	Lineage    int         `json:"lineage"` // records of which databases tenants had

	ExportsIdle   string    `json:"no_export_is_deleted,omitempty"`
	KeepExports   int       `json:"keep_exports"`
	ExpireExports []string  `json:"expire_exports"`
	HeldExports   []keptRow `json:"held_exports,omitempty"`
	Alone         []string  `json:"left_alone,omitempty"`

	plan    *keep.Plan
	exports []*keep.Exports // of each store
	away    error           // why exports of others are left alone
}

// keptRow is a base backup that stays.
type keptRow struct {
	ID  string   `json:"id"`
	Why []string `json:"why"`
}

// planExpiry says what expires of a cluster, by the configuration with all its tenants. asSet
// has nothing be kept because more was to be kept before.
func (c *Config) planExpiry(ctx context.Context, r *repository.Repository, asSet bool) (*expiry, error) {
	s, err := c.Snapshot()
	if err != nil {
		return nil, err
	}
	policy, _ := c.policyOf(s, r.Cluster)
	policy.Forget = asSet
	now := time.Now()
	exports, away := c.planExports(ctx, r.Cluster, now) // first: a store that is away takes its time
	plan, err := keep.Make(ctx, r, policy, now)
	if err != nil {
		return nil, err
	}
	e := &expiry{
		Cluster: r.Cluster, Idle: plan.Idle, KeepBase: plan.Policy.Count, KeepWindow: plan.Policy.Window.Seconds(),
		Promised: plan.Promised, AsSet: asSet,
		Keep: []keptRow{}, Expire: []string{}, Left: plan.Left, WAL: plan.WAL, WALKept: plan.WALKept, Gaps: len(plan.Gaps), Lineage: plan.Lineage,
		ExpireExports: []string{}, Alone: plan.Alone, plan: plan, away: errors.Join(away...),
	}
	if !plan.From.IsZero() {
		e.From = &plan.From
	}
	for _, k := range plan.Keep {
		e.Keep = append(e.Keep, keptRow{k.ID, k.Why})
	}
	for i := range plan.Expire {
		e.Expire = append(e.Expire, plan.Expire[i].ID)
	}
	for _, err := range away {
		e.Alone = append(e.Alone, err.Error())
	}
	for _, of := range exports {
		e.add(of)
	}
	return e, nil
}

// planExports says which exports expire of each store. One that cannot be used has its own
// left alone, and nothing else.
func (c *Config) planExports(ctx context.Context, cluster string, now time.Time) (all []*keep.Exports, away []error) {
	for _, s := range c.stores() {
		exports, err := s.planExports(ctx, cluster, c.Backup.KeepExportsWindow, now)
		if err != nil {
			away = append(away, fmt.Errorf("exports in store %q: %w", s.Name, err))
			continue
		}
		all = append(all, exports)
	}
	return all, away
}

func (s *Store) planExports(ctx context.Context, cluster string, window time.Duration, now time.Time) (*keep.Exports, error) {
	place, err := s.place((*Store).open)
	if err != nil {
		return nil, err
	}
	return keep.MakeExports(ctx, place, cluster, window, now)
}

// add adds the exports of a store.
func (e *expiry) add(exports *keep.Exports) {
	e.exports = append(e.exports, exports)
	e.KeepExports += len(exports.Keep)
	e.ExportsIdle = cmp.Or(e.ExportsIdle, exports.Idle)
	e.Alone = append(e.Alone, exports.Alone...)
	for i := range exports.Expire {
		e.ExpireExports = append(e.ExpireExports, exports.Expire[i].ID)
	}
	for _, h := range exports.Held {
		e.HeldExports = append(e.HeldExports, keptRow{h.ID, []string{fmt.Sprintf("it is held: %q", h.Reason)}})
	}
}

// told is what the audit log has of it.
func (e *expiry) told() catalog.Settings {
	return catalog.Settings{"base_backups": strings.Join(e.Expire, " "), "exports": strings.Join(e.ExpireExports, " "), "as_set": e.AsSet}
}

// run deletes what the plan says. The error tells of stores that are away too.
func (e *expiry) run(ctx context.Context) error {
	all := []error{e.away, e.plan.Run(ctx)}
	for _, exports := range e.exports {
		all = append(all, exports.Run(ctx))
	}
	return errors.Join(all...)
}

func (e *expiry) print(cmd *cobra.Command, p *printer) error {
	if p.json {
		return object(cmd.OutOrStdout(), e)
	}
	var rows [][]string
	for _, k := range slices.Concat(e.Keep, e.HeldExports) {
		rows = append(rows, []string{k.ID, "kept", strings.Join(k.Why, "; ")})
	}
	expires := "expires"
	if e.Dry {
		expires = "would expire"
	}
	for _, id := range e.Expire {
		rows = append(rows, []string{id, expires, "nothing needs it"})
	}
	for _, id := range e.Left {
		rows = append(rows, []string{id, expires, "it was never finished"})
	}
	for _, exports := range e.exports {
		for i := range exports.Expire {
			rows = append(rows, []string{exports.Expire[i].ID, expires, "it is an export older than " + exports.From.Format(time.RFC3339)})
		}
	}
	out := cmd.OutOrStdout()
	if err := table(out, "BACKUP WHAT WHY", rows); err != nil {
		return err
	}
	fmt.Fprintf(out, "WAL: %d objects (%s) %s, %d (%s) are kept\n", e.WAL.Objects, dump.Size(e.WAL.Bytes), expires, e.WALKept.Objects, dump.Size(e.WALKept.Bytes))
	if e.Lineage > 0 {
		fmt.Fprintf(out, "records of which database a tenant had: %d %s\n", e.Lineage, expires)
	}
	for _, text := range e.Promised {
		fmt.Fprintf(out, "kept for longer than is set now: %s\n", text)
	}
	if e.Idle != "" {
		fmt.Fprintf(out, "nothing of base backups and WAL is deleted: %s\n", e.Idle)
	}
	if e.ExportsIdle != "" {
		fmt.Fprintf(out, "no export is deleted: %s\n", e.ExportsIdle)
	}
	for _, text := range e.Alone {
		fmt.Fprintf(out, "left alone: %s\n", text)
	}
	return nil
}
