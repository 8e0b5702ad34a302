package router

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"howdah/wire"
	"howdah/wire/loop"
)

// reportedNames gives the settings that clients may write in any case the
// spelling that PostgreSQL reports them under.
var reportedNames = map[string]string{
	"datestyle": "DateStyle", "intervalstyle": "IntervalStyle", "timezone": "TimeZone",
}

// applicationName returns what a login calls its application.
func applicationName(params []wire.Parameter) string {
	for _, p := range params {
		if p.Name == "application_name" {
			return p.Value
		}
	}
	return ""
}

// settings returns those of a StartupMessage's parameters that are settings,
// with the ones in "options" taken apart, in the client's order.
func settings(params []wire.Parameter) (list []wire.Parameter) {
	return slices.DeleteFunc(startupSettings(params), func(p wire.Parameter) bool { return p.Name == sessionAttrs })
}

// startupSettings returns those and target_session_attrs, which is no setting of
// PostgreSQL's.
func startupSettings(params []wire.Parameter) (list []wire.Parameter) {
	for _, p := range params {
		switch p.Name {
		case "user", "database", "replication":
		case "options":
			list = append(list, options(p.Value)...)
		default:
			list = append(list, wire.Parameter{Name: settingName(p.Name), Value: p.Value})
		}
	}
	return list
}

func settingName(name string) string {
	if n, ok := reportedNames[strings.ToLower(name)]; ok {
		return n
	}
	return strings.ToLower(name)
}

// options reads the command line that clients may send: -c name=value and
// --name=value, with backslashes in front of spaces that belong to a value.
func options(line string) (list []wire.Parameter) {
	words := splitWords(line)
	for i := 0; i < len(words); i++ {
		word := words[i]
		switch {
		case word == "-c" && i+1 < len(words):
			i++
			word = words[i]
		case strings.HasPrefix(word, "-c"):
			word = word[2:]
		case strings.HasPrefix(word, "--"):
			word = word[2:]
		}
		name, value, _ := strings.Cut(word, "=")
		list = append(list, wire.Parameter{Name: settingName(strings.ReplaceAll(name, "-", "_")), Value: value})
	}
	return list
}

func splitWords(line string) (words []string) {
	var word []byte
	inside := false
	for i := 0; i < len(line); i++ {
		switch b := line[i]; {
		case b == '\\' && i+1 < len(line):
			i++
			word = append(word, line[i])
			inside = true
		case b == ' ' || b == '\t' || b == '\n':
			if inside {
				words = append(words, string(word))
				word, inside = word[:0], false
			}
		default:
			word = append(word, b)
			inside = true
		}
	}
	if inside {
		words = append(words, string(word))
	}
	return words
}

// settingsKey identifies the settings of a login.
func settingsKey(params []wire.Parameter) string {
	var b strings.Builder
	for _, p := range params {
		if p.Name == "user" || p.Name == "database" {
			continue
		}
		b.WriteString(p.Name)
		b.WriteByte(0)
		b.WriteString(p.Value)
		b.WriteByte(0)
	}
	return b.String()
}

// dial connects so that a loop can adopt what comes of it, TLS or not.
func (c *Config) dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{KeepAlive: -1} // tune sets it
	if c.Resolve != nil && network != "unix" {
		var err error
		if address, err = c.resolve(ctx, address); err != nil {
			return nil, err
		}
	}
	nc, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c.tune(nc)
	return &loop.Transport{Conn: nc}, nil
}

// resolve returns address with the first address of its host in place of the name.
func (c *Config) resolve(ctx context.Context, address string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", err
	}
	addresses, err := c.Resolve(ctx, host)
	if err != nil {
		return "", err
	}
	if len(addresses) == 0 {
		return "", fmt.Errorf("host %q has no address", host)
	}
	return net.JoinHostPort(addresses[0], port), nil
}

// tune sets the TCP options of a connection. Where the system refuses one, its
// own choice stays.
func (c *Config) tune(nc net.Conn) {
	t, ok := nc.(*net.TCPConn)
	if !ok {
		return
	}
	if c.KeepAlive.Enable {
		t.SetKeepAliveConfig(c.KeepAlive)
	}
	if c.UserTimeout > 0 {
		if raw, err := t.SyscallConn(); err == nil {
			raw.Control(func(fd uintptr) {
				unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(c.UserTimeout/time.Millisecond))
			})
		}
	}
}
