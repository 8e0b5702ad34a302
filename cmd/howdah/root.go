package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

// newRootCommand puts the commands together.
func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "howdah",
		Short:         "A PostgreSQL pooler and tenant router for Odoo and every other client",
		SilenceErrors: true, // run prints them
		SilenceUsage:  true,
		Args:          knownCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SuggestionsMinimumDistance = 2
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		if before := cmd.Flags().Args(); cmd == root && len(before) > 0 {
			return knownCommand(cmd, before) // the flag of a command that does not exist
		}
		return usageError{fmt.Errorf("%w; see `%s --help`", err, cmd.CommandPath())}
	})
	root.AddCommand(
		newUpCommand(),
		newServeCommand(),
		newCheckCommand(),
		newTenantCommand(),
		newEntryCommand("cluster"),
		newEntryCommand("tier"),
		newTokenCommand(),
		newJobCommand(),
		newAuditCommand(),
		newExportCommand(),
		newBackupCommand(),
		newRestoreCommand(),
		newFilestoreCommand(),
		newWALCommand(),
		newImportPgbouncerCommand(),
		newVersionCommand(),
		newSettingsTopic(),
	)
	root.SetHelpCommand(newHelpCommand())
	addCompletion(root)
	return root
}

// knownCommand refuses what is no command. It is the root's check of arguments,
// since whatever cobra knows as a command never gets there.
func knownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := "see `howdah --help`"
	if like := cmd.SuggestionsFor(args[0]); len(like) > 0 {
		hint = "did you mean " + oneOf(like) + "?"
	}
	return usageError{fmt.Errorf("unknown command %q; %s", args[0], hint)}
}

// noArgs refuses arguments of a command that takes only flags.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return usageError{fmt.Errorf("%s takes no arguments, not %q; see `%s --help`", cmd.CommandPath(), args[0], cmd.CommandPath())}
}

// newHelpCommand replaces cobra's, which calls an unknown topic a success.
func newHelpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [command]",
		Short: "Say what a command does",
		RunE: func(cmd *cobra.Command, args []string) error {
			topic, rest, err := cmd.Root().Find(args)
			if err != nil || topic == nil || len(rest) > 0 {
				return usageError{fmt.Errorf("there is no help on %q; see `howdah --help`", args)}
			}
			topic.InitDefaultHelpFlag()
			return topic.Help()
		},
	}
}
