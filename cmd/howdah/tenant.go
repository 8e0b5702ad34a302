package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func newTenantCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "tenant", Short: "Make, change and drop tenants", Args: knownSubcommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		Long: "Tenants are made, changed and dropped by a running Howdah that has a catalog.\n\n" +
			"HOWDAH_URL says where it is (default " + defaultURL + "), HOWDAH_TOKEN with what token; without them\nthe .howdah folder of `howdah up` does, here or above.",
	}
	cmd.AddCommand(
		tenantCreate(), tenantList(), tenantShow(), tenantSet(),
		tenantJob("suspend", "Close a tenant: its clients are refused, its data stays", http.MethodPost, "/tenants/%s/suspend", ""),
		tenantJob("resume", "Open a suspended tenant", http.MethodPost, "/tenants/%s/resume", ""),
		tenantRename(), tenantClone(), tenantMove(), tenantExport(), tenantExports(), tenantImport(), tenantRestore(), tenantGrace(), tenantRotate(), tenantReseal(), tenantDrop(),
		tenantJob("undrop", "Bring back the tenant of that name that was dropped last", http.MethodPost, "/dropped/%s/undrop", ""),
		tenantJob("purge", "Drop the database of a dropped tenant for good", http.MethodDelete, "/dropped/%s", "destroy the database of dropped tenant %q for good"),
	)
	return cmd
}

// tenantRow is a tenant as the API tells it.
type tenantRow struct {
	Name     string         `json:"name"`
	ID       string         `json:"id,omitempty"`
	Source   string         `json:"source"`
	State    string         `json:"state"`
	Cluster  string         `json:"cluster"`
	Database string         `json:"database"`
	User     string         `json:"user"`
	Tier     string         `json:"tier,omitempty"`
	Settings map[string]any `json:"settings,omitempty"`
	Revision int64          `json:"revision,omitempty"`
	Quota    *quotaRow      `json:"quota,omitempty"`
}

// quotaRow is how a tenant stands to its quota, as the API tells it.
type quotaRow struct {
	Bytes      int64      `json:"bytes"`
	Size       int64      `json:"size"`
	State      string     `json:"state"`
	GraceUntil *time.Time `json:"grace_until,omitempty"`
}

// newTenantRow is what `tenant create` prints.
type newTenantRow struct {
	Name     string   `json:"name"`
	Cluster  string   `json:"cluster"`
	Database string   `json:"database"`
	User     string   `json:"user"`
	Password string   `json:"password"`
	URL      string   `json:"url"`
	Job      string   `json:"job"`
	Why      string   `json:"why"`
	Steps    []string `json:"steps,omitempty"`
}

func tenantCreate() *cobra.Command {
	var n newTenantFlags
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Make a tenant: a database with an owner, and a way to it", Args: oneName,
		RunE: func(cmd *cobra.Command, args []string) error { return n.make(cmd, "/tenants", args[0]) },
	}
	cmd.Flags().StringVar(&n.body.Template, "template", "", "database to copy (default: an empty one)")
	return n.flags(cmd)
}

// newTenantFlags are what commands that make a tenant take.
type newTenantFlags struct {
	printer
	body struct {
		Name     string         `json:"name"`
		Cluster  string         `json:"cluster,omitempty"`
		Database string         `json:"database,omitempty"`
		User     string         `json:"user,omitempty"`
		Tier     string         `json:"tier,omitempty"`
		Template string         `json:"template,omitempty"`
		Export   string         `json:"export,omitempty"`
		Settings map[string]any `json:"settings,omitempty"`

		Neutralise string `json:"neutralise,omitempty"`

		AnotherStore bool `json:"another_store,omitempty"`
	}
	settings []string
	dry      bool
}

func (n *newTenantFlags) flags(cmd *cobra.Command) *cobra.Command {
	f := cmd.Flags()
	f.StringVar(&n.body.Cluster, "cluster", "", "cluster (default: where there is room)")
	f.StringVar(&n.body.Database, "database", "", "database (default: the name)")
	f.StringVar(&n.body.User, "user", "", "role that owns it (default: the name)")
	f.StringVar(&n.body.Tier, "tier", "", "tier")
	f.StringArrayVar(&n.settings, "set", nil, "NAME=VALUE, a setting of its own as in howdah.toml; may be repeated")
	f.BoolVar(&n.dry, "dry-run", false, "say what would be done, and do nothing")
	return n.jobFlags(cmd)
}

// make has a tenant be made, and says what it is.
func (n *newTenantFlags) make(cmd *cobra.Command, path, name string) error {
	c, err := newClient()
	if err != nil {
		return err
	}
	n.body.Name = name
	if n.body.Settings, err = parseSettings(n.settings); err != nil {
		return err
	}
	var made struct {
		newTenantRow
		Operation *job `json:"operation"`
	}
	if err := c.do(cmd.Context(), http.MethodPost, path+"?dry_run="+strconv.FormatBool(n.dry), n.body, &made); err != nil {
		return err
	}
	row := &made.newTenantRow
	if n.dry {
		return n.plan(cmd, row)
	}
	row.Job = made.Operation.ID
	row.URL = (&url.URL{Scheme: "postgres", User: url.UserPassword(row.User, row.Password), Host: c.poolerAt, Path: "/" + row.Name}).String()
	if n.noWait {
		return n.created(cmd, row)
	}
	err = n.follow(cmd, c, row.Job)
	if errors.Is(err, errUndone) {
		return err
	}
	return errors.Join(err, n.created(cmd, row)) // the tenant may still come, and the password is not told again
}

// created prints a tenant that was made. The password is told once.
func (p *printer) created(cmd *cobra.Command, row *newTenantRow) error {
	if p.json {
		return object(cmd.OutOrStdout(), row)
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "tenant %s on cluster %s (%s)\n%s\nThe password is told once: keep it.\n", row.Name, row.Cluster, row.Why, row.URL)
	return err
}

func (p *printer) plan(cmd *cobra.Command, row *newTenantRow) error {
	if p.json {
		return object(cmd.OutOrStdout(), row)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "on cluster %s: %s\n", row.Cluster, row.Why)
	printSteps(cmd, row.Steps)
	return nil
}

func printSteps(cmd *cobra.Command, steps []string) {
	for i, step := range steps {
		fmt.Fprintf(cmd.OutOrStdout(), "%d. %s\n", i+1, step)
	}
}

// parseSettings reads NAME=VALUE; a value that is JSON is that, else a string.
func parseSettings(pairs []string) (map[string]any, error) {
	settings := map[string]any{}
	for _, pair := range pairs {
		name, text, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return nil, usageError{fmt.Errorf("%q is not NAME=VALUE", pair)}
		}
		var value any
		if json.Unmarshal([]byte(text), &value) != nil {
			value = text
		}
		settings[name] = value
	}
	return settings, nil
}

func tenantList() *cobra.Command {
	var p printer
	var search, cluster string
	var dropped bool
	cmd := &cobra.Command{
		Use: "list", Short: "List tenants", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := newClient()
			if err != nil {
				return err
			}
			if dropped {
				return p.dropped(cmd, c)
			}
			var all []tenantRow
			query := url.Values{"search": {search}, "cluster": {cluster}, "limit": {"10000"}}
			if err := c.do(cmd.Context(), http.MethodGet, "/tenants?"+query.Encode(), nil, &all); err != nil {
				return err
			}
			if p.json {
				return object(cmd.OutOrStdout(), all)
			}
			var rows [][]string
			for _, t := range all {
				rows = append(rows, []string{t.Name, t.State, t.Cluster, t.Database, t.User, orDash(t.Tier), t.Source})
			}
			return table(cmd.OutOrStdout(), "NAME STATE CLUSTER DATABASE USER TIER SOURCE", rows)
		},
	}
	cmd.Flags().StringVar(&search, "search", "", "only those with this in their name")
	cmd.Flags().StringVar(&cluster, "cluster", "", "only those of a cluster")
	cmd.Flags().BoolVar(&dropped, "dropped", false, "those that were dropped and can be brought back")
	return p.flags(cmd)
}

func (p *printer) dropped(cmd *cobra.Command, c *client) error {
	var all []struct {
		Name    string    `json:"name"`
		ID      string    `json:"id"`
		Dropped time.Time `json:"dropped"`
		Purge   time.Time `json:"purge"`
	}
	if err := c.do(cmd.Context(), http.MethodGet, "/dropped", nil, &all); err != nil {
		return err
	}
	if p.json {
		return object(cmd.OutOrStdout(), all)
	}
	var rows [][]string
	for _, d := range all {
		rows = append(rows, []string{d.Name, d.Dropped.Format(time.RFC3339), d.Purge.Format(time.RFC3339)})
	}
	return table(cmd.OutOrStdout(), "NAME DROPPED KEPT_UNTIL", rows)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func tenantShow() *cobra.Command {
	var p printer
	return p.flags(&cobra.Command{
		Use: "show NAME", Short: "Show a tenant", Args: oneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := newClient()
			if err != nil {
				return err
			}
			var t tenantRow
			if err := c.do(cmd.Context(), http.MethodGet, "/tenants/"+url.PathEscape(args[0]), nil, &t); err != nil {
				return err
			}
			return p.tenant(cmd, &t)
		},
	})
}

// usage says how large the database is, and what follows from that.
func (q *quotaRow) usage() string {
	switch q.State {
	case "unknown":
		return "not measured yet"
	case "over":
		return fmt.Sprintf("%d bytes of %d: over the quota, cannot write", q.Size, q.Bytes)
	case "grace":
		return fmt.Sprintf("%d bytes of %d: over the quota, may write until %s", q.Size, q.Bytes, q.GraceUntil.Format(time.RFC3339))
	}
	return fmt.Sprintf("%d bytes of %d: %s", q.Size, q.Bytes, q.State)
}

func (p *printer) tenant(cmd *cobra.Command, t *tenantRow) error {
	if p.json {
		return object(cmd.OutOrStdout(), t)
	}
	rows := [][]string{
		{"name", t.Name},
		{"state", t.State},
		{"cluster", t.Cluster},
		{"database", t.Database},
		{"user", t.User},
		{"tier", orDash(t.Tier)},
		{"source", t.Source},
	}
	for _, name := range slices.Sorted(maps.Keys(t.Settings)) {
		rows = append(rows, []string{name, fmt.Sprint(t.Settings[name])})
	}
	if q := t.Quota; q != nil {
		rows = append(rows, []string{"usage", q.usage()})
	}
	return table(cmd.OutOrStdout(), "SETTING VALUE", rows)
}

func tenantSet() *cobra.Command {
	return setCommand("tenant", func(cmd *cobra.Command, p *printer, c *client, name string, patch map[string]any) error {
		var t tenantRow
		if err := c.do(cmd.Context(), http.MethodPatch, "/tenants/"+url.PathEscape(name), patch, &t); err != nil {
			return err
		}
		return p.tenant(cmd, &t)
	})
}

// setCommand changes settings of something. Those that are taken away are null.
func setCommand(noun string, change func(*cobra.Command, *printer, *client, string, map[string]any) error) *cobra.Command {
	var p printer
	var unset []string
	cmd := &cobra.Command{
		Use: "set NAME SETTING=VALUE …", Short: "Change settings of a " + noun,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 || args[0] == "" || len(args) == 1 && len(unset) == 0 {
				return usageError{fmt.Errorf("%s takes a %s's name and settings; see `%s --help`", cmd.CommandPath(), noun, cmd.CommandPath())}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := newClient()
			if err != nil {
				return err
			}
			patch, err := parseSettings(args[1:])
			if err != nil {
				return err
			}
			for _, name := range unset {
				patch[name] = nil
			}
			return change(cmd, &p, c, args[0], patch)
		},
	}
	cmd.Flags().StringArrayVar(&unset, "unset", nil, "a setting to take away, so that what goes for all is in force; may be repeated")
	return p.flags(cmd)
}

// tenantJob is a command that begins a job on a tenant and waits for it.
func tenantJob(verb, short, method, path, ask string) *cobra.Command {
	var p printer
	var dry bool
	cmd := &cobra.Command{
		Use: verb + " NAME", Short: short, Args: oneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			if dry {
				return p.dryRun(cmd, verb, args[0])
			}
			if ask != "" {
				if err := p.confirm(cmd, fmt.Sprintf(ask, args[0])); err != nil {
					return err
				}
			}
			return p.run(cmd, method, fmt.Sprintf(path, url.PathEscape(args[0])))
		},
	}
	if ask != "" {
		cmd.Flags().BoolVar(&p.yes, "yes", false, "do not ask")
	}
	cmd.Flags().BoolVar(&dry, "dry-run", false, "say what would be done, and do nothing")
	return p.jobFlags(cmd)
}

// dryRun prints what an operation on a tenant would do.
func (p *printer) dryRun(cmd *cobra.Command, operation, name string) error {
	c, err := newClient()
	if err != nil {
		return err
	}
	var plan struct {
		Steps []string `json:"steps"`
	}
	if err := c.do(cmd.Context(), http.MethodGet, fmt.Sprintf("/tenants/%s/plan?operation=%s", url.PathEscape(name), operation), nil, &plan); err != nil {
		return err
	}
	if p.json {
		return object(cmd.OutOrStdout(), plan)
	}
	printSteps(cmd, plan.Steps)
	return nil
}

func tenantRename() *cobra.Command {
	var p printer
	var body struct {
		Name string `json:"name"`
		User string `json:"user,omitempty"`
	}
	var dry bool
	cmd := &cobra.Command{
		Use: "rename NAME NEW", Short: "Give a tenant and its database another name; its clients go on",
		Long: "Connected clients wait for a moment and go on under the new name. New ones must give it.\n" +
			"The user gets the name too if it had the tenant's and is no other tenant's.",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 || args[0] == "" || args[1] == "" {
				return usageError{fmt.Errorf("%s takes a tenant's name and its new one; see `%s --help`", cmd.CommandPath(), cmd.CommandPath())}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := newClient()
			if err != nil {
				return err
			}
			body.Name = args[1]
			var made struct {
				Operation *job     `json:"operation"`
				Name      string   `json:"name"`
				Database  string   `json:"database"`
				User      string   `json:"user"`
				Steps     []string `json:"steps,omitempty"`
			}
			path := fmt.Sprintf("/tenants/%s/rename?dry_run=%t", url.PathEscape(args[0]), dry)
			if err := c.do(cmd.Context(), http.MethodPost, path, body, &made); err != nil {
				return err
			}
			if !dry {
				if err := p.follow(cmd, c, made.Operation.ID); err != nil || p.noWait {
					return err
				}
				if err := c.do(cmd.Context(), http.MethodGet, "/jobs/"+made.Operation.ID, nil, made.Operation); err != nil {
					return err
				}
			}
			if p.json {
				return object(cmd.OutOrStdout(), made)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "tenant %s, database %s, user %s\n", made.Name, made.Database, made.User)
			printSteps(cmd, made.Steps)
			return nil
		},
	}
	cmd.Flags().StringVar(&body.User, "user", "", "the user's new name, or the one it has")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "say what would be done, and do nothing")
	return p.jobFlags(cmd)
}

func tenantDrop() *cobra.Command {
	var p printer
	var keep time.Duration
	var unexported, dry bool
	cmd := &cobra.Command{
		Use: "drop NAME", Short: "Drop a tenant; its database is kept for a while", Args: oneName,
		Long: "Drop a tenant: its clients are refused, its database is put away, closed, and is gone for good after --keep.\n\n" +
			"Where there is a store it is exported too, as it is when nobody can write any more. If that fails, the tenant is\n" +
			"there again, or the job waits for you to mend what is wrong.",
		RunE: func(cmd *cobra.Command, args []string) error {
			how := fmt.Sprintf("keep=%s&no_export=%t", strconv.FormatFloat(keep.Seconds(), 'f', -1, 64), unexported)
			if dry {
				return p.dryRun(cmd, "drop&"+how, args[0])
			}
			if err := p.confirm(cmd, fmt.Sprintf("drop tenant %q", args[0])); err != nil {
				return err
			}
			return p.run(cmd, http.MethodDelete, fmt.Sprintf("/tenants/%s?%s", url.PathEscape(args[0]), how))
		},
	}
	cmd.Flags().BoolVar(&p.yes, "yes", false, "do not ask")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "say what would be done, and do nothing")
	cmd.Flags().DurationVar(&keep, "keep", 7*24*time.Hour, "for how long the database is kept, so that `tenant undrop` can bring it back")
	cmd.Flags().BoolVar(&unexported, "no-export", false, "do not export it, though there is a store")
	return p.jobFlags(cmd)
}

// run begins a job and waits for it.
func (p *printer) run(cmd *cobra.Command, method, path string) error {
	c, err := newClient()
	if err != nil {
		return err
	}
	var j job
	if err := c.do(cmd.Context(), method, path, nil, &j); err != nil {
		return err
	}
	return p.ended(cmd, c, j.ID)
}

// ended waits for a job, and for machines prints how it ended.
func (p *printer) ended(cmd *cobra.Command, c *client, id string) error {
	if err := p.follow(cmd, c, id); err != nil || !p.json || p.noWait {
		return err
	}
	var j job
	if err := c.do(cmd.Context(), http.MethodGet, "/jobs/"+id, nil, &j); err != nil {
		return err
	}
	return object(cmd.OutOrStdout(), &j)
}

// oneName wants one argument.
func oneName(cmd *cobra.Command, args []string) error {
	if len(args) != 1 || args[0] == "" {
		return usageError{fmt.Errorf("%s takes one name; see `%s --help`", cmd.CommandPath(), cmd.CommandPath())}
	}
	return nil
}

// knownSubcommand refuses what is no command of the group.
func knownSubcommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return usageError{fmt.Errorf("unknown command %q of %s; see `%s --help`", args[0], cmd.CommandPath(), cmd.CommandPath())}
}
