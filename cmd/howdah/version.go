package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set by the linker (-X main.version=…) and never written again.
var version = "dev"

// buildInfo is what `howdah version --json` prints.
type buildInfo struct {
	Version string `json:"version"`
	Commit  string `json:"commit"` // "" = built outside a checkout; ends in + if files had changed
	Go      string `json:"go"`
	System  string `json:"system"`
}

// readBuildInfo says which program this is.
func readBuildInfo() buildInfo {
	b := buildInfo{Version: version, Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	changed := ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			b.Commit = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			changed = "+"
		}
	}
	if b.Commit != "" {
		b.Commit += changed
	}
	return b
}

func newVersionCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Say which Howdah this is",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b, out := readBuildInfo(), cmd.OutOrStdout()
			if asJSON {
				return json.NewEncoder(out).Encode(b)
			}
			commit := ""
			if b.Commit != "" {
				commit = ", commit " + b.Commit
			}
			_, err := fmt.Fprintf(out, "howdah %s (%s, %s%s)\n", b.Version, b.Go, b.System, commit)
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}
