package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"howdah/tenants/catalog"
)

func newAuditCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "audit", Short: "Look at the audit log, export and verify it", Args: knownSubcommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		Long: "Every change is in the audit log: who made it, when, through which door, and what was before and\n" +
			"after. Each record has the hash of the one before it, so that none can be changed, taken out or put\n" +
			"in without breaking the chain. Who can make all of it anew can also change its end: keep what\n" +
			"`howdah audit verify` prints elsewhere, and give it to the next one as --known.",
	}
	cmd.AddCommand(auditList(), auditExport(), auditVerify())
	return cmd
}

// auditRow is a record of the export.
type auditRow struct {
	Record struct {
		Seq    int64     `json:"seq"`
		At     time.Time `json:"at"`
		Actor  string    `json:"actor"`
		Door   string    `json:"door"`
		From   string    `json:"from"`
		Action string    `json:"action"`
		Kind   string    `json:"kind"`
		Name   string    `json:"name"`
	} `json:"record"`
}

func auditList() *cobra.Command {
	var p printer
	var last int
	cmd := p.flags(&cobra.Command{
		Use: "list", Short: "List the newest records, the last one at the end", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			text, err := openAudit(cmd, "last="+strconv.Itoa(last))
			if err != nil {
				return err
			}
			defer text.Close()
			if p.json {
				_, err := io.Copy(cmd.OutOrStdout(), text)
				return err
			}
			var rows [][]string
			for lines := json.NewDecoder(text); ; {
				var l auditRow
				if err := lines.Decode(&l); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					return fmt.Errorf("read the audit log: %w", err)
				}
				r := &l.Record
				rows = append(rows, []string{strconv.FormatInt(r.Seq, 10), r.At.Format(time.RFC3339), r.Actor, r.Door, orDash(r.From), r.Action, r.Kind, r.Name})
			}
			return table(cmd.OutOrStdout(), "SEQ AT ACTOR DOOR FROM ACTION KIND NAME", rows)
		},
	})
	cmd.Flags().IntVar(&last, "last", 50, "how many records")
	return cmd
}

func auditExport() *cobra.Command {
	var after int64
	cmd := &cobra.Command{
		Use: "export", Short: "Print the audit log as JSON lines, with the chain of hashes", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			text, err := openAudit(cmd, "after="+strconv.FormatInt(after, 10))
			if err != nil {
				return err
			}
			defer text.Close()
			if _, err := io.Copy(cmd.OutOrStdout(), text); err != nil {
				return fmt.Errorf("read the audit log: %w", err)
			}
			return nil
		},
	}
	cmd.Flags().Int64Var(&after, "after", 0, "only records behind the one of this number")
	return cmd
}

func auditVerify() *cobra.Command {
	var p printer
	var known string
	cmd := p.flags(&cobra.Command{
		Use: "verify [FILE]", Short: "Check that the audit log, or an export of it, is what was written",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError{fmt.Errorf("%s takes one file; see `%s --help`", cmd.CommandPath(), cmd.CommandPath())}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			seq, hash, err := parseKnown(known)
			if err != nil {
				return err
			}
			text, err := exportOf(cmd, args)
			if err != nil {
				return err
			}
			defer text.Close()
			seen := ""
			v, err := catalog.Verify(bufio.NewReader(text), func(n int64, h string) {
				if n == seq {
					seen = h
				}
			})
			switch {
			case err != nil:
				return err
			case seq > 0 && seen == "":
				return fmt.Errorf("record %d, which was known, is not there", seq)
			case seq > 0 && seen != hash:
				return fmt.Errorf("record %d has the hash %s, not %s, which was known: the log was made anew", seq, seen, hash)
			case p.json:
				return object(cmd.OutOrStdout(), v)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "records %d to %d hold together\n%d:%s\n", v.First, v.Last, v.Last, v.Hash)
			return err
		},
	})
	cmd.Flags().StringVar(&known, "known", "", "NUMBER:HASH, what an earlier verify has printed: it must still be there")
	return cmd
}

// parseKnown reads what verify prints. 0 is nothing.
func parseKnown(known string) (seq int64, hash string, err error) {
	if known == "" {
		return 0, "", nil
	}
	number, hash, ok := strings.Cut(known, ":")
	seq, err = strconv.ParseInt(number, 10, 64)
	if !ok || err != nil || seq < 1 || hash == "" {
		return 0, "", usageError{fmt.Errorf("--known %q is not NUMBER:HASH", known)}
	}
	return seq, strings.ToLower(hash), nil
}

// exportOf opens the file that is named, "-" for the standard input, or asks Howdah.
func exportOf(cmd *cobra.Command, args []string) (io.ReadCloser, error) {
	switch {
	case len(args) == 0:
		return openAudit(cmd, "")
	case args[0] == "-":
		return io.NopCloser(cmd.InOrStdin()), nil
	}
	return os.Open(args[0])
}

func openAudit(cmd *cobra.Command, query string) (io.ReadCloser, error) {
	c, err := newClient()
	if err != nil {
		return nil, err
	}
	return c.open(cmd.Context(), "/audit?"+query)
}
