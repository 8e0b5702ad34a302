package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	_ "time/tzdata" // restores take times by the names of zones, which a machine need not have
)

func main() {
	err := run(context.Background(), os.Args[1:], os.Stdout, os.Stderr)
	os.Exit(exitCode(err))
}

// run executes one command line and says on stderr what went wrong.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	root := newRootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	var config *ConfigError
	switch {
	case err == nil:
	case errors.As(err, &config):
		fmt.Fprintln(stderr, config) // file:line first, so that editors can jump
	default:
		fmt.Fprintf(stderr, "howdah: %v\n", err)
	}
	return err
}
