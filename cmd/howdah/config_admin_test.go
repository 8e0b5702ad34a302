package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"testing"

	"howdah/wire/wiretest"
)

func TestClientRoles(t *testing.T) {
	cert := wiretest.MakeCertificate(t, t.TempDir(), "127.0.0.1")
	files := fmt.Sprintf("[admin]\ntls_cert_file = %q\ntls_key_file = %q\n", cert.CertFile, cert.KeyFile)
	authorities := fmt.Sprintf("tls_ca_file = %q\n", cert.CertFile)
	c := mustLoad(t, files+authorities+"client_roles = [\"deploy: operator\", \"CN: with colon:viewer\"]\n"+good)
	for name, want := range map[string]string{"deploy": "operator", "CN: with colon": "viewer", "": "", "stranger": ""} {
		if got := c.Admin.ClientRole(name); got != want {
			t.Errorf("%q has the role %q, want %q", name, got, want)
		}
	}
	if got := c.Admin.URL(); got != "https://127.0.0.1:8432" {
		t.Errorf("URL %s", got)
	}
	checkMistakes(t, files+authorities+"client_roles = [\"deploy\", \"x: root\", \": admin\", \"a: admin\", \"a: viewer\"]\n"+good, []string{
		`5: client_roles has "deploy"; write "NAME: ROLE"`, `5: client_roles has "x: root"`, `5: client_roles has ": admin"`, `5: client_roles names "a" twice`,
	})
	checkMistakes(t, files+"client_roles = [\"a: admin\"]\n"+good, []string{`4: client_roles without the authorities`})
	checkMistakes(t, "[admin]\n"+authorities+good, []string{`2: tls_ca_file in [admin] without a certificate`})
	checkMistakes(t, fmt.Sprintf("[admin]\ntls_cert_file = %q\n", cert.CertFile)+good, []string{`2: tls_cert_file without tls_key_file; write tls_key_file too`})
	checkMistakes(t, fmt.Sprintf("[admin]\ntls_cert_file = %[1]q\ntls_key_file = %[1]q\n", cert.CertFile)+good, []string{`2: write a PEM certificate and its key`})
}

func TestHTTPInClearText(t *testing.T) {
	cert := wiretest.MakeCertificate(t, t.TempDir(), "127.0.0.1")
	const open = "[admin]\nhttp = \"0.0.0.0:8432\"\n"
	if c := mustLoad(t, open+good); len(c.Notes) != 1 || c.Notes[0].Line != 2 {
		t.Errorf("notes %v", c.Notes)
	}
	if c := mustLoad(t, open+fmt.Sprintf("tls_cert_file = %q\ntls_key_file = %q\n", cert.CertFile, cert.KeyFile)+good); len(c.Notes) != 0 {
		t.Errorf("notes %v", c.Notes)
	}
}

// A reload takes another certificate, and TLS where there was none; a bad one changes nothing.
func TestReloadOfTheHTTPSidesCertificate(t *testing.T) {
	const head = "[listen]\naddresses = [\"127.0.0.1:0\"]\nunix_socket_dir = \"\"\n[admin]\nhttp = \"\"\n"
	path := writeFile(t, "howdah.toml", head+good)
	d, err := newDaemon(path, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.router.Close)
	if d.webTLS.Load() != nil {
		t.Error("there is TLS without a certificate")
	}
	var last *tls.Config
	for range 2 {
		cert := wiretest.MakeCertificate(t, t.TempDir(), "127.0.0.1")
		writeBeside(t, path, "howdah.toml", head+fmt.Sprintf("tls_cert_file = %q\ntls_key_file = %q\n", cert.CertFile, cert.KeyFile)+good)
		if err := d.reload(); err != nil {
			t.Fatal(err)
		}
		last = d.webTLS.Load()
		client, server := net.Pipe()
		go func() { _ = tls.Server(server, last).Handshake() }() // the client says how it went
		if err := tls.Client(client, &tls.Config{RootCAs: cert.Pool, ServerName: "127.0.0.1"}).Handshake(); err != nil {
			t.Errorf("another certificate is shown, or none: %v", err)
		}
		writeBeside(t, path, "server.key", "none")
	}
	writeBeside(t, path, "howdah.toml", head+"tls_cert_file = \"server.key\"\ntls_key_file = \"server.key\"\n"+good)
	if err := d.reload(); err == nil || d.webTLS.Load() != last {
		t.Errorf("a bad certificate was taken: %v", err)
	}
}
