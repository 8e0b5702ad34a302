package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// rotationRow is what `tenant rotate` prints.
type rotationRow struct {
	Name     string   `json:"name"`
	User     string   `json:"user"`
	Password string   `json:"password"`
	URL      string   `json:"url"`
	Job      string   `json:"job"`
	Steps    []string `json:"steps,omitempty"` // of a dry run
}

func tenantRotate() *cobra.Command {
	var p printer
	var body struct {
		Password string  `json:"password,omitempty"`
		Overlap  float64 `json:"overlap"`
		Server   bool    `json:"server,omitempty"`
	}
	var overlap time.Duration
	var from string
	var dry bool
	cmd := &cobra.Command{
		Use: "rotate NAME", Short: "Give a tenant another password; the old one goes on for a while", Args: oneName,
		Long: "Sessions go on whichever password they logged in with. Without a master key (master_key_file in [catalog])\n" +
			"only --overlap 0 can be: the password is the server's too, and connected clients get further servers\n" +
			"once one has logged in with the new one. With it the tenant becomes a managed one.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if overlap == 0 && !dry {
				if err := p.confirm(cmd, fmt.Sprintf("end the passwords of tenant %q at once", args[0])); err != nil {
					return err
				}
			}
			var err error
			if body.Password, err = readPassword(cmd, from); err != nil {
				return err
			}
			c, err := newClient()
			if err != nil {
				return err
			}
			body.Overlap = overlap.Seconds()
			var made struct {
				rotationRow
				Operation *job `json:"operation"`
			}
			if err := c.do(cmd.Context(), http.MethodPost, fmt.Sprintf("/tenants/%s/rotate?dry_run=%t", url.PathEscape(args[0]), dry), body, &made); err != nil {
				return err
			}
			row := &made.rotationRow
			if dry {
				return p.rotationPlan(cmd, row)
			}
			row.Job = made.Operation.ID
			row.URL = (&url.URL{Scheme: "postgres", User: url.UserPassword(row.User, row.Password), Host: c.poolerAt, Path: "/" + row.Name}).String()
			if !p.noWait {
				err = p.follow(cmd, c, row.Job)
				if errors.Is(err, errUndone) {
					return err
				}
			}
			return errors.Join(err, p.rotated(cmd, row, overlap)) // it may still come, and the password is not told again
		},
	}
	f := cmd.Flags()
	f.DurationVar(&overlap, "overlap", 24*time.Hour, "for how long the old password goes on; 0 ends it at once")
	f.StringVar(&from, "password-file", "", "file with the new password on its first line, - for standard input (default: a new one)")
	f.BoolVar(&body.Server, "server", false, "change the secret with which Howdah logs in to the server too")
	f.BoolVar(&p.yes, "yes", false, "do not ask")
	f.BoolVar(&dry, "dry-run", false, "say what would be done, and do nothing")
	return p.jobFlags(cmd)
}

func (p *printer) rotationPlan(cmd *cobra.Command, row *rotationRow) error {
	if p.json {
		return object(cmd.OutOrStdout(), row)
	}
	printSteps(cmd, row.Steps)
	return nil
}

// rotated prints the new password. It is told once.
func (p *printer) rotated(cmd *cobra.Command, row *rotationRow, overlap time.Duration) error {
	if p.json {
		return object(cmd.OutOrStdout(), row)
	}
	old := "The old password goes on for " + overlap.String() + "."
	if overlap == 0 {
		old = "The old password has ended."
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s\n%s\nThe password is told once: keep it.\n", row.URL, old)
	return err
}

// readPassword reads the first line of a file, - for standard input; "" is no file.
func readPassword(cmd *cobra.Command, from string) (string, error) {
	if from == "" {
		return "", nil
	}
	in := cmd.InOrStdin()
	if from != "-" {
		f, err := os.Open(from)
		if err != nil {
			return "", fmt.Errorf("read password: %w", err)
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxSecretFile))
	if err != nil {
		return "", fmt.Errorf("read password: %w", err)
	}
	password, _, _ := strings.Cut(string(text), "\n")
	if password = strings.TrimSuffix(password, "\r"); password == "" {
		return "", usageError{errors.New("read password: the first line is empty")}
	}
	return password, nil
}

func tenantReseal() *cobra.Command {
	var p printer
	return p.flags(&cobra.Command{
		Use: "reseal", Short: "Seal all tenants' secrets with the first identity of the master key", Args: noArgs,
		Long: "To change the master key: put a new identity in front of the old one in every node's master_key_file,\n" +
			"have every node reload it, give this, and take the old identity out.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := newClient()
			if err != nil {
				return err
			}
			var done struct {
				Resealed int `json:"resealed"`
			}
			if err := c.do(cmd.Context(), http.MethodPost, "/master-key/reseal", nil, &done); err != nil {
				return err
			}
			if p.json {
				return object(cmd.OutOrStdout(), done)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d secrets sealed anew\n", done.Resealed)
			return err
		},
	})
}
