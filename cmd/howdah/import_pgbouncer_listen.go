package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// given returns a setting's text, PgBouncer's default without one, and what to
// write behind its translation.
func (t *bouncerTranslation) given(name, initial string) (value, from string, ok bool) {
	if e, ok := t.settings[name]; ok {
		return e.value, e.at() + ": " + name, true
	}
	return initial, "PgBouncer's default of " + name, false
}

// translateListen does the addresses and the Unix socket.
func (t *bouncerTranslation) translateListen() {
	port := defaultPort
	if e, ok := t.settings["listen_port"]; ok {
		n, err := parseBouncerNumber(e.value)
		if err != nil || n < 1 || n > 65535 {
			t.badValue(e, errors.New("it is no port"))
			return
		}
		port = strconv.FormatInt(n, 10)
	}
	text, from, given := t.given("listen_addr", "")
	hosts, err := splitList(text)
	if err != nil {
		t.badValue(t.settings["listen_addr"], err)
	}
	addresses := []string{}
	for _, host := range hosts {
		if host == "*" || host == "::" && slices.Contains(hosts, "0.0.0.0") {
			host = "0.0.0.0" // which is IPv6 too: a second listener on it would fail
		}
		address := net.JoinHostPort(host, port)
		if problem := checkAddress(address, 1); problem != "" {
			t.badValue(t.settings["listen_addr"], fmt.Errorf("%q %s", address, problem))
		} else if !slices.Contains(addresses, address) {
			addresses = append(addresses, address)
		}
	}
	if e, ok := t.settings["listen_port"]; ok {
		if !given {
			from = "PgBouncer's default: no listen_addr"
		}
		from += ", " + e.at() + ": listen_port"
		if len(addresses) == 0 && port != defaultPort {
			t.listen.note("%s: listen_port = %s: Howdah's Unix socket is named by the port of the first address and by %s where there is none. Clients of the socket must use that, or add an address such as \"127.0.0.1:%s\".", e.at(), port, defaultPort, port)
		}
	}
	if slices.Contains(hosts, "0.0.0.0") != slices.Contains(hosts, "::") && !slices.Contains(hosts, "*") {
		t.listen.note("%s = %s: Howdah takes IPv4 and IPv6 at such an address, PgBouncer one of them. Name the machine's addresses to keep them apart.", from, text)
	}
	t.listen.add("addresses", addresses, from)
	t.translateSocket(len(addresses) == 0)
}

func (t *bouncerTranslation) translateSocket(alone bool) {
	dir, from, given := t.given("unix_socket_dir", "/tmp")
	e := t.settings["unix_socket_dir"]
	info, err := os.Stat(dir)
	switch {
	case dir == "" && alone:
		t.wrong(e.file, e.line, "write listen_addr or unix_socket_dir", "there is neither an address nor a Unix socket to listen on")
	case dir == "":
		t.listen.add("unix_socket_dir", "", from)
	case strings.HasPrefix(dir, "@"):
		t.listen.note("%s = %q: Howdah's sockets are files; the default folder takes the place of the abstract one.", from, dir)
	case err != nil || !info.IsDir():
		t.listen.note("%s = %q: there is no such folder here, so Howdah's default takes its place. Make it and write it as unix_socket_dir, or have clients look in /var/run/postgresql (/tmp where Howdah may not write there).", from, dir)
	default:
		if !given {
			from = "PgBouncer's default of unix_socket_dir"
		}
		t.listen.add("unix_socket_dir", absolute(dir), from)
	}
	if e, ok := t.settings["unix_socket_mode"]; ok {
		mode, err := parseBouncerNumber(e.value)
		if err != nil || mode < 0 || mode > int64(os.ModePerm) {
			t.badValue(e, errors.New("it is no mode in C's octal such as 0770"))
			return
		}
		t.listen.add("unix_socket_mode", fmt.Sprintf("%04o", mode), e.at()+": unix_socket_mode")
	}
}

// absolute makes a path work from wherever the output will be.
func absolute(path string) string {
	if full, err := filepath.Abs(path); err == nil {
		return full
	}
	return path
}

// file adds a setting that names a file, its path as found here.
func (t *bouncerTranslation) file(table *tomlTable, name, as string) {
	e, ok := t.settings[name]
	if !ok || e.value == "" {
		return
	}
	found, _, _ := t.find(e.value) // what cannot be read is for check to say
	table.add(as, absolute(found), e.at()+": "+name)
}

// translateTLS does the clients' side; clusters have the servers' side.
func (t *bouncerTranslation) translateTLS() {
	const modes = "it is not disable, allow, prefer, require, verify-ca or verify-full"
	if e, ok := t.settings["server_tls_sslmode"]; ok && t.serverTLS() == "" {
		t.badValue(e, errors.New(modes))
	}
	mode, from, given := t.given("client_tls_sslmode", "disable")
	mode = strings.ToLower(mode)
	verify := mode == "verify-ca" || mode == "verify-full"
	switch {
	case verify:
		t.listen.note("%s = %s: Howdah checks a certificate that a client shows, but refuses clients without one only by auth_type = \"cert\".", from, mode)
		mode = "require"
	case !slices.Contains([]string{"disable", "allow", "prefer", "require"}, mode):
		t.badValue(t.settings["client_tls_sslmode"], errors.New(modes))
		return
	}
	if given {
		t.listen.add("tls_mode", mode, from)
	}
	if mode != "disable" {
		t.file(&t.listen, "client_tls_cert_file", "tls_cert_file")
		t.file(&t.listen, "client_tls_key_file", "tls_key_file")
	}
	if verify {
		t.file(&t.listen, "client_tls_ca_file", "tls_ca_file")
	}
	for _, name := range []string{"client_tls_cert_file", "client_tls_key_file", "client_tls_ca_file"} {
		e, ok := t.settings[name]
		switch {
		case !ok || e.value != "" && t.listen.value(strings.TrimPrefix(name, "client_")) != nil:
		case mode == "disable":
			t.without(e, "PgBouncer uses it only with another client_tls_sslmode than disable", false)
		default:
			t.without(e, "PgBouncer checks no client's certificate in this client_tls_sslmode, and Howdah would", false)
		}
	}
}

// serverTLS is the tls_mode of clusters; "" if the file has none that exists.
func (t *bouncerTranslation) serverTLS() string {
	mode, _, _ := t.given("server_tls_sslmode", "prefer")
	switch mode = strings.ToLower(mode); mode {
	case "allow":
		return "prefer" // PgBouncer takes it for that
	case "disable", "prefer", "require", "verify-ca", "verify-full":
		return mode
	}
	return ""
}

// loopbackOnly reports whether only this machine reaches the addresses.
func (t *bouncerTranslation) loopbackOnly() bool {
	addresses, _ := t.listen.value("addresses").([]string)
	return !slices.ContainsFunc(addresses, func(a string) bool { return !isLoopback(a) })
}
