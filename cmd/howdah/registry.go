package main

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

// entryRow is a cluster or a tier as the API tells it.
type entryRow struct {
	Name     string         `json:"name"`
	Source   string         `json:"source"`
	Tenants  int            `json:"tenants"`
	Settings map[string]any `json:"settings,omitempty"`
	Revision int64          `json:"revision,omitempty"`
}

// newEntryCommand is `howdah cluster` or `howdah tier`.
func newEntryCommand(noun string) *cobra.Command {
	cmd := &cobra.Command{
		Use: noun, Short: "Add, change and remove " + noun + "s", Args: knownSubcommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	path := func(name string) string { return "/" + noun + "s/" + url.PathEscape(name) }
	cmd.AddCommand(entryList(noun), entryShow(noun, path), entryAdd(noun, path),
		entrySet(noun, path), entryRemove(noun, path))
	return cmd
}

func entryList(noun string) *cobra.Command {
	var p printer
	return p.flags(&cobra.Command{
		Use: "list", Short: "List " + noun + "s", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := newClient()
			if err != nil {
				return err
			}
			var all []entryRow
			if err := c.do(cmd.Context(), http.MethodGet, "/"+noun+"s", nil, &all); err != nil {
				return err
			}
			if p.json {
				return object(cmd.OutOrStdout(), all)
			}
			var rows [][]string
			for _, e := range all {
				rows = append(rows, []string{e.Name, strconv.Itoa(e.Tenants), e.Source})
			}
			return table(cmd.OutOrStdout(), "NAME TENANTS SOURCE", rows)
		},
	})
}

func entryShow(noun string, path func(string) string) *cobra.Command {
	var p printer
	return p.flags(&cobra.Command{
		Use: "show NAME", Short: "Show a " + noun, Args: oneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := newClient()
			if err != nil {
				return err
			}
			var e entryRow
			if err := c.do(cmd.Context(), http.MethodGet, path(args[0]), nil, &e); err != nil {
				return err
			}
			return p.entry(cmd, &e)
		},
	})
}

func (p *printer) entry(cmd *cobra.Command, e *entryRow) error {
	if p.json {
		return object(cmd.OutOrStdout(), e)
	}
	rows := [][]string{{"name", e.Name}, {"source", e.Source}, {"tenants", strconv.Itoa(e.Tenants)}}
	for _, name := range slices.Sorted(maps.Keys(e.Settings)) {
		rows = append(rows, []string{name, fmt.Sprint(e.Settings[name])})
	}
	return table(cmd.OutOrStdout(), "SETTING VALUE", rows)
}

func entryAdd(noun string, path func(string) string) *cobra.Command {
	var p printer
	return p.flags(&cobra.Command{
		Use: "add NAME SETTING=VALUE …", Short: "Add a " + noun,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 || args[0] == "" {
				return usageError{fmt.Errorf("%s takes a name and settings; see `%s --help`", cmd.CommandPath(), cmd.CommandPath())}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := newClient()
			if err != nil {
				return err
			}
			settings, err := parseSettings(args[1:])
			if err != nil {
				return err
			}
			c.header = http.Header{"If-None-Match": {"*"}}
			var e entryRow
			if err := c.do(cmd.Context(), http.MethodPut, path(args[0]), settings, &e); err != nil {
				return err
			}
			return p.entry(cmd, &e)
		},
	})
}

func entrySet(noun string, path func(string) string) *cobra.Command {
	return setCommand(noun, func(cmd *cobra.Command, p *printer, c *client, name string, patch map[string]any) error {
		var e entryRow
		if err := c.do(cmd.Context(), http.MethodPatch, path(name), patch, &e); err != nil {
			return err
		}
		return p.entry(cmd, &e)
	})
}

func entryRemove(noun string, path func(string) string) *cobra.Command {
	var p printer
	cmd := &cobra.Command{
		Use: "remove NAME", Short: "Remove a " + noun + " that no tenant refers to", Args: oneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := p.confirm(cmd, fmt.Sprintf("remove %s %q", noun, args[0])); err != nil {
				return err
			}
			c, err := newClient()
			if err != nil {
				return err
			}
			return c.do(cmd.Context(), http.MethodDelete, path(args[0]), nil, nil)
		},
	}
	cmd.Flags().BoolVar(&p.yes, "yes", false, "do not ask")
	return cmd
}

func newTokenCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "token", Short: "Make, rotate and end tokens for the HTTP API", Args: knownSubcommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(tokenCreate(), tokenList(), tokenRotate(), tokenRemove())
	return cmd
}

// tokenRow is a token as the API tells it.
type tokenRow struct {
	Name    string     `json:"name"`
	Role    string     `json:"role"`
	Tenant  string     `json:"tenant,omitempty"`
	Expires *time.Time `json:"expires,omitempty"`
	Token   string     `json:"token,omitempty"`

	OldUntil *time.Time `json:"old_until,omitempty"` // the text before goes on
}

func tokenCreate() *cobra.Command {
	var p printer
	var body tokenRow
	var lasts time.Duration
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Make a token, and print it once", Args: oneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := newClient()
			if err != nil {
				return err
			}
			body.Name = args[0]
			if lasts > 0 {
				end := time.Now().Add(lasts)
				body.Expires = &end
			}
			var made tokenRow
			if err := c.do(cmd.Context(), http.MethodPost, "/tokens", body, &made); err != nil {
				return err
			}
			if p.json {
				return object(cmd.OutOrStdout(), made)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), made.Token)
			return err
		},
	}
	cmd.Flags().StringVar(&body.Role, "role", "viewer", "viewer, operator, admin, or tenant with --tenant")
	cmd.Flags().StringVar(&body.Tenant, "tenant", "", "the one tenant that it is for")
	cmd.Flags().DurationVar(&lasts, "expires-in", 0, "for how long it is good (default: until it is removed)")
	return p.flags(cmd)
}

func tokenList() *cobra.Command {
	var p printer
	return p.flags(&cobra.Command{
		Use: "list", Short: "List tokens", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := newClient()
			if err != nil {
				return err
			}
			var all []tokenRow
			if err := c.do(cmd.Context(), http.MethodGet, "/tokens", nil, &all); err != nil {
				return err
			}
			if p.json {
				return object(cmd.OutOrStdout(), all)
			}
			var rows [][]string
			for _, t := range all {
				rows = append(rows, []string{t.Name, t.Role, orDash(t.Tenant), timeOrDash(t.Expires), timeOrDash(t.OldUntil)})
			}
			return table(cmd.OutOrStdout(), "NAME ROLE TENANT EXPIRES OLD_UNTIL", rows)
		},
	})
}

func timeOrDash(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.Format(time.RFC3339)
}

func tokenRotate() *cobra.Command {
	var p printer
	var overlap time.Duration
	cmd := &cobra.Command{
		Use: "rotate NAME", Short: "Give a token another text, and print it once", Args: oneName,
		Long: "Give a token another text: its name, its role and when it expires stay. With --overlap the text before goes on\n" +
			"for so long, and any that is older ends.",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := newClient()
			if err != nil {
				return err
			}
			var made tokenRow
			body := map[string]float64{"overlap": overlap.Seconds()}
			if err := c.do(cmd.Context(), http.MethodPost, "/tokens/"+url.PathEscape(args[0])+"/rotate", body, &made); err != nil {
				return err
			}
			if p.json {
				return object(cmd.OutOrStdout(), made)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), made.Token)
			return err
		},
	}
	cmd.Flags().DurationVar(&overlap, "overlap", 0, "for how long the old text goes on (default: it ends at once)")
	return p.flags(cmd)
}

func tokenRemove() *cobra.Command {
	return &cobra.Command{
		Use: "remove NAME", Short: "End a token", Args: oneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := newClient()
			if err != nil {
				return err
			}
			return c.do(cmd.Context(), http.MethodDelete, "/tokens/"+url.PathEscape(args[0]), nil, nil)
		},
	}
}

func newJobCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "job", Short: "Look at jobs, cancel and resume them", Args: knownSubcommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var list, show, wait printer
	var tenant string
	all := list.flags(&cobra.Command{
		Use: "list", Short: "List jobs, the newest first", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return list.jobs(cmd, tenant) },
	})
	all.Flags().StringVar(&tenant, "tenant", "", "only those of a tenant")
	cmd.AddCommand(all, show.flags(&cobra.Command{
		Use: "show ID", Short: "Show a job", Args: oneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := newClient()
			if err != nil {
				return err
			}
			var j job
			if err := c.do(cmd.Context(), http.MethodGet, "/jobs/"+url.PathEscape(args[0]), nil, &j); err != nil {
				return err
			}
			if show.json {
				return object(cmd.OutOrStdout(), &j)
			}
			return table(cmd.OutOrStdout(), jobHeader, [][]string{jobCells(&j)})
		},
	}), wait.flags(&cobra.Command{
		Use: "watch ID", Aliases: []string{"wait"}, Short: "Follow a job until it has ended", Args: oneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := newClient()
			if err != nil {
				return err
			}
			return wait.ended(cmd, c, url.PathEscape(args[0]))
		},
	}), jobSteer("cancel", "Have a job undone"), jobSteer("resume", "Have a job go on that needs attention"), jobEndReview())
	return cmd
}

func jobSteer(verb, short string) *cobra.Command {
	var p printer
	return p.flags(&cobra.Command{
		Use: verb + " ID", Short: short, Args: oneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := newClient()
			if err != nil {
				return err
			}
			var j job
			if err := c.do(cmd.Context(), http.MethodPost, "/jobs/"+url.PathEscape(args[0])+"/"+verb, nil, &j); err != nil || !p.json {
				return err
			}
			return object(cmd.OutOrStdout(), &j)
		},
	})
}

func jobEndReview() *cobra.Command {
	var p printer
	cmd := &cobra.Command{
		Use: "end-review", Short: "Go by the catalog again that was put back to an earlier time", Args: noArgs,
		Long: "A catalog that was restored to an earlier time does not know the tenants that were made since,\n" +
			"and knows some that were dropped. Nothing is run or changed by it until this is given: compare\n" +
			"`howdah tenant list` with the databases that there are first. Jobs that were under way then need\n" +
			"attention: resume or cancel them one by one.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := p.confirm(cmd, "go by the catalog as it is now"); err != nil {
				return err
			}
			c, err := newClient()
			if err != nil {
				return err
			}
			return c.do(cmd.Context(), http.MethodPost, "/review/end", nil, nil)
		},
	}
	cmd.Flags().BoolVar(&p.yes, "yes", false, "do not ask")
	return cmd
}

const jobHeader = "ID KIND TENANT STATE STEPS STEP ERROR"

func jobCells(j *job) []string {
	return []string{j.ID, j.Kind, j.Tenant, j.State, fmt.Sprintf("%d/%d", j.Done, j.Total), orDash(j.Step), orDash(j.Error)}
}

func (p *printer) jobs(cmd *cobra.Command, tenant string) error {
	c, err := newClient()
	if err != nil {
		return err
	}
	var all []job
	if err := c.do(cmd.Context(), http.MethodGet, "/jobs?tenant="+url.QueryEscape(tenant), nil, &all); err != nil {
		return err
	}
	if p.json {
		return object(cmd.OutOrStdout(), all)
	}
	var rows [][]string
	for i := range all {
		rows = append(rows, jobCells(&all[i]))
	}
	return table(cmd.OutOrStdout(), jobHeader, rows)
}
