package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"howdah/admin/fleet"
	"howdah/backup/base"
	"howdah/backup/export"
	"howdah/backup/repository"
	"howdah/tenants/catalog"
)

func backupHold() *cobra.Command {
	f := clusterFlag{writes: true}
	var reason, until string
	var release bool
	cmd := &cobra.Command{
		Use: "hold BACKUP", Short: "Have a base backup or an export never expire, or end that", Args: oneName,
		Long: "Have a base backup, and the WAL from its start to its stop, be kept whatever the policy says, until it is released.\n" +
			"--until also keeps the WAL that a restore from it to a later moment needs: a time with its zone, lsn:16/B374D848, or\n" +
			"latest, which keeps all WAL that comes after it for as long as it is held. `backup list` shows what is held.\n\n" +
			"An export, whose id begins with its tenant's name, is held in the same way; `export list` shows it.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if release && (reason != "" || until != "") {
				return usageError{errors.New("--release goes with neither --reason nor --until")}
			}
			if export.CheckID(args[0]) == nil {
				if until != "" {
					return usageError{errors.New("--until is for base backups: an export needs no WAL")}
				}
				return notThere(f.holdExport(cmd, export.Hold{ID: args[0], Reason: reason, By: atTheShell().Name, Since: time.Now()}, release))
			}
			config, r, err := f.open(cmd)
			if err != nil {
				return err
			}
			_, audit, err := config.withCatalog(cmd.Context(), atTheShell())
			if err != nil {
				return err
			}
			if release {
				return notThere(releaseBase(cmd, r, args[0], audit))
			}
			h := base.Hold{ID: args[0], Reason: reason, By: atTheShell().Name, Since: time.Now()}
			if err := holdUntil(cmd.Context(), r, &h, until); err != nil {
				return notThere(err)
			}
			if err := audit("hold", h.ID, catalog.Settings{"cluster": f.cluster, "reason": reason, "until": until}); err != nil {
				return err
			}
			if err := base.PutHold(cmd.Context(), r, h); err != nil {
				return notThere(err)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "base backup %s is held, with its WAL until %s\n", h.ID, cmp.Or(until, "its stop"))
			return err
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why: a `text` that is kept with it")
	cmd.Flags().StringVar(&until, "until", "", "keep WAL up to a `moment` too")
	cmd.Flags().BoolVar(&release, "release", false, "end the hold")
	f.flags(cmd)
	return cmd
}

// holdExport puts or ends a hold of an export.
func (f *clusterFlag) holdExport(cmd *cobra.Command, h export.Hold, release bool) error {
	config, err := LoadConfig(f.path)
	if err != nil {
		return err
	}
	at, err := config.exportStore(f.store, (*Store).open)
	if err == nil {
		err = at.find(cmd.Context(), h.ID)
	}
	if err != nil {
		return err
	}
	says, action := "export %s is held\n", "hold"
	if release {
		says, action = "export %s is not held any more\n", "release"
		holds, err := at.Holds(cmd.Context())
		if holds == nil {
			return err
		}
		if holds[h.ID] == nil {
			return fmt.Errorf("export %.140q is not held: %w", h.ID, errNotFound)
		}
	} else if _, err := at.Manifest(cmd.Context(), h.ID); err != nil {
		return err
	}
	if err := at.audit(cmd.Context(), action, h.ID); err != nil {
		return err
	}
	if release {
		err = at.Release(cmd.Context(), h.ID)
	} else {
		err = at.PutHold(cmd.Context(), h)
	}
	if err == nil {
		_, err = fmt.Fprintf(cmd.OutOrStdout(), says, h.ID)
	}
	return err
}

// releaseBase ends a hold that there is.
func releaseBase(cmd *cobra.Command, r *repository.Repository, id string, audit auditor) error {
	holds, err := base.Holds(cmd.Context(), r)
	if holds == nil {
		return err
	}
	if holds[id] == nil {
		return fmt.Errorf("base backup %.60q is not held: %w", id, errNotFound)
	}
	if err := audit("release", id, catalog.Settings{"cluster": r.Cluster}); err != nil {
		return err
	}
	if err := base.Release(cmd.Context(), r, id); err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "base backup %s is not held any more\n", id)
	return err
}

// holdUntil says in a hold up to where WAL is held.
func holdUntil(ctx context.Context, r *repository.Repository, h *base.Hold, until string) error {
	m, err := base.Read(ctx, r, h.ID)
	if err != nil {
		return err
	}
	err = fleet.HoldUntil(ctx, r, m, h, until)
	if invalid := (*fleet.InvalidError)(nil); errors.As(err, &invalid) {
		return usageError{fmt.Errorf("--until: %w", invalid.Reason)}
	}
	return err
}
