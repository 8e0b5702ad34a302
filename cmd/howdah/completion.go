package main

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// completionPatience is how long somebody who presses Tab waits for Howdah.
const completionPatience = 2 * time.Second

// addCompletion has the shell complete what Howdah knows: names of tenants, clusters and
// tiers, jobs, and settings. It goes by what commands call their arguments and flags, so
// that a new command has it too.
func addCompletion(root *cobra.Command) {
	for _, group := range root.Commands() {
		for _, cmd := range group.Commands() {
			if from := argumentsOf(group.Name(), cmd); from != nil {
				cmd.ValidArgsFunction = from
			}
			for flag, path := range map[string]string{"cluster": "/clusters", "tier": "/tiers", "tenant": "/tenants"} {
				if cmd.Flags().Lookup(flag) != nil {
					_ = cmd.RegisterFlagCompletionFunc(flag, namesAt(path)) // fails only for a flag that is not there
				}
			}
		}
	}
}

type completer = func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective)

// argumentsOf completes the arguments of a command, nil if they are nobody's names.
func argumentsOf(group string, cmd *cobra.Command) completer {
	use := cmd.Use
	makes := strings.HasPrefix(use, "create ") || strings.HasPrefix(use, "add ")
	path := map[string]string{"tenant": "/tenants", "cluster": "/clusters", "tier": "/tiers", "token": "/tokens", "job": "/jobs"}[group]
	if name := cmd.Name(); name == "undrop" || name == "purge" {
		path = "/dropped"
	}
	if path == "" || !strings.Contains(use, " NAME") && !strings.Contains(use, " ID") {
		return nil
	}
	names, settings := namesAt(path), settingsOf(section(group))
	return func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		switch {
		case len(args) > 0 && strings.Contains(use, "SETTING=VALUE"):
			return settings(begun), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
		case len(args) > 0, makes:
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return names(cmd, args, begun)
	}
}

// namesAt completes by the names, or ids, of a list of the API. What goes wrong is not
// told: there is nowhere to.
func namesAt(path string) completer {
	return func(cmd *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(cmd.Context(), completionPatience)
		defer cancel()
		c, err := newClient()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		query := ""
		if path == "/tenants" {
			query = "?" + url.Values{"search": {begun}, "limit": {"1000"}}.Encode()
		}
		var all []struct{ Name, ID, Kind, Tenant, State string }
		if c.once(ctx, http.MethodGet, path+query, nil, &all) != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var found []string
		for _, x := range all {
			text := x.Name
			if path == "/jobs" {
				text = x.ID + "\t" + x.Kind + " " + x.Tenant + " " + x.State
			}
			if strings.HasPrefix(text, begun) {
				found = append(found, text)
			}
		}
		return found, cobra.ShellCompDirectiveNoFileComp
	}
}

// settingsOf completes SETTING= by the settings that a section takes.
func settingsOf(in section) func(begun string) []string {
	return func(begun string) (found []string) {
		for _, s := range settings() {
			limits := s.section == sectionLimits && in != sectionCluster
			if (s.section == in || limits) && s.name != "name" && strings.HasPrefix(s.name, begun) {
				found = append(found, s.name+"=")
			}
		}
		return found
	}
}
