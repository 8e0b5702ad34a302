package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// upPorts are the four TCP ports of `howdah up`, all on 127.0.0.1.
type upPorts struct {
	primary, standby, pooler, http int
}

// upPort is one of them with what users know it by.
type upPort struct {
	what, flag string
	number     int
}

func (p upPorts) list() []upPort {
	return []upPort{
		{"the primary", "primary-port", p.primary},
		{"the standby", "standby-port", p.standby},
		{"the pooler", "port", p.pooler},
		{"the admin HTTP API", "http-port", p.http},
	}
}

// portsOf reads the ports back from the configuration an earlier start wrote
// and somebody may have edited since. 0 stands
// for what was switched off there: no admin HTTP, no TCP listener.
func portsOf(cfg *Config) (upPorts, error) {
	if len(cfg.Clusters) == 0 || len(cfg.Clusters[0].Members) < 2 {
		return upPorts{}, fmt.Errorf("read ports from %q: its first [[cluster]] must have the primary and the standby as members", cfg.Path)
	}
	p := upPorts{
		primary: portOf(cfg.Clusters[0].Members[0].Address),
		standby: portOf(cfg.Clusters[0].Members[1].Address),
		http:    portOf(cfg.Admin.HTTP),
	}
	if len(cfg.Listen.Addresses) > 0 {
		p.pooler = portOf(cfg.Listen.Addresses[0])
	}
	if p.primary == 0 || p.standby == 0 {
		return upPorts{}, fmt.Errorf("read ports from %q: the members of its first [[cluster]] must be host:port", cfg.Path)
	}
	return p, nil
}

func portOf(address string) int {
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		return 0
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return port
}

// agree refuses flags that say something else than the configuration.
func (p upPorts) agree(written upPorts, given func(flag string) bool, path string) error {
	for i, want := range p.list() {
		if have := written.list()[i]; given(want.flag) && want.number != have.number {
			return usageError{fmt.Errorf("--%s %d: %s says %d for %s: edit it there, or choose another folder with --dir",
				want.flag, want.number, path, have.number, want.what)}
		}
	}
	return nil
}

// checkFree returns an error that names every port somebody else listens on,
// and who, if we may know.
func (p upPorts) checkFree(first bool, config string) error {
	var taken []error
	for _, port := range p.list() {
		if port.number == 0 {
			continue
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port.number))
		if err == nil {
			err = l.Close()
		}
		if err == nil {
			continue
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			taken = append(taken, fmt.Errorf("port %d for %s: %w", port.number, port.what, err))
			continue
		}
		remedy := "choose another with --" + port.flag
		if !first {
			remedy = "choose another in " + config
		}
		taken = append(taken, fmt.Errorf("port %d for %s is taken by %s: stop that, or %s",
			port.number, port.what, portHolder(port.number), remedy))
	}
	return errors.Join(taken...)
}

// portHolder names the process that listens on a TCP port.
func portHolder(port int) string {
	var inodes []string
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		inodes = append(inodes, listeningInodes(table, port)...)
	}
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*") // the pattern is constant and valid
	for _, link := range links {
		target, err := os.Readlink(link)
		if err != nil || !slices.Contains(inodes, strings.TrimSuffix(strings.TrimPrefix(target, "socket:["), "]")) {
			continue
		}
		pid := strings.Split(link, "/")[2]
		name, err := os.ReadFile(filepath.Join("/proc", pid, "comm"))
		if err != nil {
			break
		}
		return fmt.Sprintf("%s (pid %s)", strings.TrimSpace(string(name)), pid)
	}
	return "a process of another user"
}

// listeningInodes reads a table as proc(5) describes it: local address in hex
// in column 1, state in column 3 (0A is LISTEN), the socket's inode in column 9.
func listeningInodes(table string, port int) []string {
	f, err := os.Open(table)
	if err != nil {
		return nil
	}
	defer f.Close()
	var inodes []string
	suffix := fmt.Sprintf(":%04X", port)
	for lines := bufio.NewScanner(f); lines.Scan(); {
		columns := strings.Fields(lines.Text())
		if len(columns) > 9 && columns[3] == "0A" && strings.HasSuffix(columns[1], suffix) {
			inodes = append(inodes, columns[9])
		}
	}
	return inodes
}
