package main

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// defaultPort is the pooler's where no address gives one.
const defaultPort = "6432"

// maxSocketPath is what the kernel takes, less the closing zero.
const maxSocketPath = 107

func (r *configReader) checkListen() {
	l := &r.config.Listen
	in := []string{string(sectionListen)}
	seen := map[string]bool{}
	for _, address := range l.Addresses {
		at := append(in, "addresses")
		if problem := checkAddress(address, 0); problem != "" {
			r.wrong(at, `write host:port such as "127.0.0.1:6432" or "0.0.0.0:6432"`, "address %q %s", address, problem)
		}
		if seen[address] {
			r.wrong(at, "remove one", "address %q is there twice", address)
		}
		seen[address] = true
		if l.AuthType == "trust" && l.HBAFile == "" && !isLoopback(address) {
			r.wrong(append(in, "auth_type"), `write auth_type = "scram-sha-256", or only loopback addresses`,
				"auth_type \"trust\" would let everyone in who reaches %q", address)
		}
	}
	if http := r.config.Admin.HTTP; http != "" {
		at := []string{string(sectionAdmin), "http"}
		if problem := checkAddress(http, 0); problem != "" {
			r.wrong(at, `write host:port such as "127.0.0.1:8432"`, "address %q %s", http, problem)
		} else if seen[http] && !strings.HasSuffix(http, ":0") {
			r.wrong(at, "write another port", "address %q is also in [listen]", http)
		} else if !isLoopback(http) && r.config.Admin.TLSCertFile == "" {
			r.note(at, "write tls_cert_file and tls_key_file, or keep it behind a firewall", "%q can be reached from outside, and tokens come there in clear text", http)
		}
	}
	if l.UnixSocketDir == "auto" {
		l.UnixSocketDir = defaultSocketDir()
	} else if l.UnixSocketDir != "" {
		r.checkSocketDir(append(in, "unix_socket_dir"))
	}
	if _, err := groupID(l.UnixSocketGroup); err != nil {
		r.wrong(append(in, "unix_socket_group"), "write the name or number of a group", "unix_socket_group: %v", err)
	}
	if len(l.Addresses) == 0 && l.UnixSocketDir == "" {
		r.wrong(append(in, "addresses"), `write addresses = ["127.0.0.1:6432"] or a unix_socket_dir`, "there is neither an address nor a Unix socket to listen on")
	}
}

func (r *configReader) checkSocketDir(at []string) {
	l := &r.config.Listen
	l.UnixSocketDir = r.absolute(l.UnixSocketDir)
	info, err := os.Stat(l.UnixSocketDir)
	switch path := r.config.SocketPath(); {
	case err != nil:
		r.wrong(at, "make the folder, or write \"auto\"", "unix_socket_dir %q: %v", l.UnixSocketDir, unwrapPath(err))
	case !info.IsDir():
		r.wrong(at, "write the path of a folder", "unix_socket_dir %q is no folder", l.UnixSocketDir)
	case len(path) > maxSocketPath:
		r.wrong(at, "write a folder with a shorter path", "the socket's path %q is longer than the %d bytes the system takes", path, maxSocketPath)
	}
}

// defaultSocketDir is where Debian's psql looks, or the folder every psql built
// from source looks in.
func defaultSocketDir() string {
	const debian = "/var/run/postgresql"
	if unix.Access(debian, unix.W_OK) != nil {
		return "/tmp"
	}
	return debian
}

func (r *configReader) checkTLS() {
	l := &r.config.Listen
	at := func(name string) []string { return []string{string(sectionListen), name} }
	if l.TLSCertFile == "" && l.TLSKeyFile == "" && l.TLSMode != "disable" {
		r.wrong(at("tls_mode"), `write tls_cert_file and tls_key_file, or tls_mode = "disable"`, "tls_mode %q without a certificate", l.TLSMode)
	}
	r.checkCertificate(sectionListen, l.TLSCertFile, l.TLSKeyFile)
	r.checkAuthorities(at("tls_ca_file"), l.TLSCAFile)
	for i := range r.config.Clusters {
		r.checkAuthorities(r.clusterAt[i].key("tls_ca_file"), r.config.Clusters[i].TLSCAFile)
		r.checkAuthorities(r.clusterAt[i].key("patroni_ca_file"), r.config.Clusters[i].PatroniCAFile)
	}
	if l.AuthType != "cert" || l.HBAFile != "" {
		return
	}
	if l.TLSMode != "require" || l.TLSCAFile == "" {
		r.wrong(at("auth_type"), `write tls_mode = "require" and tls_ca_file`, "auth_type \"cert\" needs TLS and the authorities of client certificates")
	}
	r.noteSecrets(at("auth_type"), "", 0, "cert")
}

// checkCertificate notes a certificate that is not whole.
func (r *configReader) checkCertificate(in section, cert, key string) {
	at := func(name string) []string { return []string{string(in), name} }
	switch {
	case cert == "" && key != "":
		r.wrong(at("tls_key_file"), "write tls_cert_file too", "tls_key_file without tls_cert_file")
	case cert != "" && key == "":
		r.wrong(at("tls_cert_file"), "write tls_key_file too", "tls_cert_file without tls_key_file")
	case cert != "" && !r.isWrong(at("tls_cert_file"), at("tls_key_file")):
		if _, err := tls.LoadX509KeyPair(cert, key); err != nil {
			r.wrong(at("tls_cert_file"), "write a PEM certificate and its key", "tls_cert_file and tls_key_file: %v", err)
		}
	}
}

// checkAuthorities notes a file without certificates. One that cannot be read
// was noted before.
func (r *configReader) checkAuthorities(at []string, path string) {
	if path == "" {
		return
	}
	pem, err := os.ReadFile(path)
	if err == nil && !x509.NewCertPool().AppendCertsFromPEM(pem) {
		r.wrong(at, "write the path of a PEM file", "%s %q holds no certificate", at[len(at)-1], path)
	}
}

// isWrong reports whether a mistake was noted on the line of one of the keys.
func (r *configReader) isWrong(keys ...[]string) bool {
	return slices.ContainsFunc(r.mistakes, func(m Mistake) bool {
		return slices.ContainsFunc(keys, func(k []string) bool { return m.File == "" && r.lines.line(k...) == m.Line })
	})
}

// checkAddress says what is wrong with host:port; "" if nothing. lowest is 0
// where a port may be left to the system.
func checkAddress(address string, lowest int) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "is not host:port"
	}
	if n, err := strconv.Atoi(port); err != nil || n < lowest || n > 65535 {
		return "has no valid port"
	}
	if host == "*" || strings.ContainsAny(host, " /") {
		return "has no valid host"
	}
	return ""
}

// checkMember says what is wrong with a member's address and what to write.
func checkMember(address string) (problem, remedy string) {
	if strings.HasPrefix(address, "/") {
		port, ok := strings.CutPrefix(filepath.Base(address), ".s.PGSQL.")
		if _, err := strconv.ParseUint(port, 10, 16); !ok || err != nil {
			return "is no PostgreSQL socket", "write its path such as \"" + filepath.Join(address, ".s.PGSQL.5432") + `"`
		}
		return "", ""
	}
	if problem := checkAddress(address, 1); problem != "" {
		return problem, `write host:port such as "127.0.0.1:5432"`
	}
	if strings.HasPrefix(address, ":") {
		return "has no host", `write host:port such as "127.0.0.1` + address + `"`
	}
	return "", ""
}

// isLoopback reports whether only this machine reaches the address. A name is
// not looked up: only localhost is known to be local.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return true // said already
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// isConnString reports whether text looks like what libpq takes.
func isConnString(text string) bool {
	if scheme, _, ok := strings.Cut(text, "://"); ok {
		_, err := url.Parse(text)
		return err == nil && (scheme == "postgres" || scheme == "postgresql")
	}
	return strings.Contains(text, "host=") || strings.Contains(text, "service=")
}

// firstPort returns the port that names the Unix socket.
func firstPort(addresses []string) string {
	if len(addresses) > 0 {
		if _, port, err := net.SplitHostPort(addresses[0]); err == nil {
			return port
		}
	}
	return defaultPort
}
