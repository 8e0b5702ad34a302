package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"slices"
	"strings"

	"howdah/wire"
)

// URL is where the HTTP side is.
func (a *Admin) URL() string {
	if a.TLSCertFile != "" {
		return "https://" + a.HTTP
	}
	return "http://" + a.HTTP
}

// clientRoles are what client_roles may give.
func clientRoles() []string { return []string{"viewer", "operator", "admin"} }

// ClientRole returns the role of whoever shows a client certificate of that common name,
// "" for none.
func (a *Admin) ClientRole(name string) string {
	for _, entry := range a.ClientRoles {
		if who, role, ok := cutRole(entry); ok && who == name {
			return role
		}
	}
	return ""
}

// cutRole reads "NAME: ROLE".
func cutRole(entry string) (name, role string, ok bool) {
	i := strings.LastIndexByte(entry, ':')
	if i < 0 {
		return "", "", false
	}
	name, role = strings.TrimSpace(entry[:i]), strings.TrimSpace(entry[i+1:])
	return name, role, name != "" && slices.Contains(clientRoles(), role)
}

// checkAdmin looks at who gets at the API, and how.
func (r *configReader) checkAdmin() {
	a := &r.config.Admin
	at := func(name string) []string { return []string{string(sectionAdmin), name} }
	r.checkCertificate(sectionAdmin, a.TLSCertFile, a.TLSKeyFile)
	r.checkAuthorities(at("tls_ca_file"), a.TLSCAFile)
	if a.TLSCAFile != "" && a.TLSCertFile == "" {
		r.wrong(at("tls_ca_file"), "write tls_cert_file and tls_key_file too", "tls_ca_file in [admin] without a certificate: nobody can show one of theirs")
	}
	if len(a.ClientRoles) > 0 && a.TLSCAFile == "" {
		r.wrong(at("client_roles"), "write tls_ca_file in [admin] too", "client_roles without the authorities of client certificates")
	}
	seen := map[string]bool{}
	for _, entry := range a.ClientRoles {
		name, _, ok := cutRole(entry)
		if !ok {
			r.wrong(at("client_roles"), `write "NAME: ROLE" with the role viewer, operator or admin`, "client_roles has %q", entry)
		} else if seen[name] {
			r.wrong(at("client_roles"), "remove one", "client_roles names %q twice", name)
		}
		seen[name] = true
	}
}

// adminTLS is how the HTTP side does TLS, nil if it does not.
func adminTLS(a *Admin) (*tls.Config, error) {
	if a.TLSCertFile == "" {
		return nil, nil
	}
	cert, err := wire.LoadCertificate(a.TLSCertFile, a.TLSKeyFile)
	if err != nil {
		return nil, err
	}
	authorities, err := readAuthorities(a.TLSCAFile)
	if err != nil {
		return nil, err
	}
	config := wire.ServerTLS(cert, authorities)
	config.NextProtos = []string{"http/1.1"}
	return config, nil
}

// readAuthorities reads who signs client certificates, nil for "".
func readAuthorities(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read authorities of client certificates: %w", err)
	}
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read authorities of client certificates: no certificate in %q", path)
	}
	return authorities, nil
}
