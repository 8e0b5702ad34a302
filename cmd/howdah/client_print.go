package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// printer is how a command that talks to the API shows what it got.
type printer struct {
	json   bool // for machines
	noWait bool // jobs are not waited for
	yes    bool // nothing is asked
}

// flags adds the flags that such commands have in common.
func (p *printer) flags(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().BoolVar(&p.json, "json", false, "print JSON")
	return cmd
}

func (p *printer) jobFlags(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().BoolVar(&p.noWait, "no-wait", false, "print the job's id instead of waiting for it")
	return p.flags(cmd)
}

// confirm asks before something is destroyed, unless --yes was given.
func (p *printer) confirm(cmd *cobra.Command, what string) error {
	if p.yes {
		return nil
	}
	if !isTerminal(os.Stdin) {
		return usageError{fmt.Errorf("%s: give --yes, as nobody can be asked here", what)}
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s? [y/N] ", what)
	var answer string
	_, _ = fmt.Fscanln(cmd.InOrStdin(), &answer) // an empty line is a no
	if a := strings.ToLower(answer); a != "y" && a != "yes" {
		return errors.New("nothing was done")
	}
	return nil
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// object prints a value as JSON.
func object(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// table prints rows under a header.
func table(w io.Writer, header string, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, strings.ReplaceAll(header, " ", "\t"))
	for _, row := range rows {
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	return t.Flush()
}

// follow waits for a job, and tells its progress: on a terminal as a bar, else in lines.
func (p *printer) follow(cmd *cobra.Command, c *client, id string) error {
	switch {
	case p.noWait && p.json:
		return object(cmd.OutOrStdout(), map[string]string{"id": id})
	case p.noWait:
		_, err := fmt.Fprintln(cmd.OutOrStdout(), id)
		return err
	}
	out := cmd.ErrOrStderr()
	switch {
	case p.json:
		return c.wait(cmd.Context(), id, func(*job) {})
	case isTerminal(os.Stderr):
		defer fmt.Fprint(out, "\r\x1b[K")
		return c.wait(cmd.Context(), id, func(j *job) { fmt.Fprintf(out, "\r\x1b[K%s", progressBar(j)) })
	}
	last := ""
	return c.wait(cmd.Context(), id, func(j *job) {
		if now := progressLine(j); now != last {
			fmt.Fprintln(out, now)
			last = now
		}
	})
}

// barWidth is how many characters a bar of progress has.
const barWidth = 20

func progressBar(j *job) string {
	return fmt.Sprintf("%s %d/%d %s %s", bar(int64(j.Done), int64(j.Total)), j.Done, j.Total, j.State, j.Step)
}

func bar(done, total int64) string {
	filled := 0
	if total > 0 {
		filled = int(barWidth * done / total)
	}
	return "[" + strings.Repeat("#", filled) + strings.Repeat(".", barWidth-filled) + "]"
}

func progressLine(j *job) string {
	return strings.TrimRight(fmt.Sprintf("%s %s: %s %d/%d %s", j.Kind, j.Tenant, j.State, j.Done, j.Total, j.Step), " ")
}
