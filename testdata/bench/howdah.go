package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// configureHowdah writes howdah.toml and returns the command line.
func (b *bench) configureHowdah(port int, s poolerSettings) ([]string, error) {
	auth := "scram-sha-256"
	if s.verifier == "" {
		auth = "trust"
	}
	var text strings.Builder
	fmt.Fprintf(&text, "[listen]\naddresses = [\"127.0.0.1:%d\"]\nunix_socket_dir = \"\"\nauth_type = %q\n", port, auth)
	fmt.Fprintf(&text, "tls_mode = \"allow\"\ntls_cert_file = %q\ntls_key_file = %q\n", b.cert.file, b.cert.key)
	fmt.Fprintf(&text, "[admin]\nhttp = \"\"\nstats_users = [%q]\n", tenant)
	fmt.Fprintf(&text, "[server]\nloops = %d\nlog_level = \"warn\"\n", s.loops)
	fmt.Fprintf(&text, "[defaults]\npool_mode = \"transaction\"\npool_size = %d\nmax_prepared_statements = %d\n", s.servers, s.statements)
	fmt.Fprintf(&text, "[[cluster]]\nname = \"main\"\nmembers = [\"127.0.0.1:%d\"]\ntls_mode = \"disable\"\n", s.backend)
	for _, tenant := range s.tenants {
		fmt.Fprintf(&text, "[[tenant]]\nname = %q\ncluster = \"main\"\n", tenant)
		fmt.Fprintf(&text, "[[user]]\nname = %q\n", tenant)
		if s.verifier != "" {
			fmt.Fprintf(&text, "verifier = %q\n", s.verifier)
		}
	}
	path := filepath.Join(b.dir, fmt.Sprintf("howdah-%d.toml", port))
	if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
		return nil, err
	}
	binary := filepath.Join(b.dir, "howdah")
	if err := copyProgram(b.programs.howdah, binary); err != nil {
		return nil, err
	}
	return []string{binary, "serve", "-c", path}, nil
}

// copyProgram copies the binary once, to where user postgres may run it: a clone
// is often under root's closed home.
func copyProgram(from, to string) (err error) {
	if _, err := os.Stat(to); err == nil {
		return nil
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		_ = out.Close() // the copy's error is the one to tell
		return err
	}
	return out.Close()
}
