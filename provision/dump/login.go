package dump

import (
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"
)

// Login says how to log in to a server: libpq's parameters by their names.
type Login map[string]string

// variables are the environment's names for parameters, PostgreSQL manual 34.15.
// Others than these are not passed on.
var variables = map[string]string{
	"host": "PGHOST", "hostaddr": "PGHOSTADDR", "port": "PGPORT", "dbname": "PGDATABASE", "user": "PGUSER", "password": "PGPASSWORD",
	"passfile": "PGPASSFILE", "sslmode": "PGSSLMODE", "sslcert": "PGSSLCERT", "sslkey": "PGSSLKEY", "sslrootcert": "PGSSLROOTCERT",
	"sslcrl": "PGSSLCRL", "sslsni": "PGSSLSNI", "channel_binding": "PGCHANNELBINDING", "gssencmode": "PGGSSENCMODE",
	"target_session_attrs": "PGTARGETSESSIONATTRS", "connect_timeout": "PGCONNECT_TIMEOUT", "options": "PGOPTIONS",
}

// ParseLogin reads a connection string, as a URL or as NAME=VALUE words.
func ParseLogin(text string) (Login, error) {
	if strings.HasPrefix(text, "postgres://") || strings.HasPrefix(text, "postgresql://") {
		return parseURL(text)
	}
	return parseWords(text)
}

func parseURL(text string) (Login, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("read connection string: it is no URL") // err has the password
	}
	l := Login{}
	for _, address := range strings.Split(u.Host, ",") {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			host, port = strings.Trim(address, "[]"), ""
		}
		l.also("host", host)
		l.also("port", port)
	}
	if strings.Trim(l["port"], ",") == "" {
		delete(l, "port")
	}
	if u.User != nil {
		l["user"] = u.User.Username()
		l["password"], _ = u.User.Password()
	}
	l["dbname"] = strings.TrimPrefix(u.Path, "/")
	for name, values := range u.Query() {
		l[name] = values[len(values)-1]
	}
	maps.DeleteFunc(l, func(_, value string) bool { return value == "" })
	return l, nil
}

// also adds one of a list of values.
func (l Login) also(name, value string) {
	if before, ok := l[name]; ok {
		value = before + "," + value
	}
	l[name] = value
}

func parseWords(text string) (Login, error) {
	l := Login{}
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimSpace(text) {
		name, rest, ok := strings.Cut(text, "=")
		if !ok {
			return nil, fmt.Errorf("read connection string: it is neither a URL nor NAME=VALUE words")
		}
		var value string
		if value, text, ok = cutValue(strings.TrimSpace(rest)); !ok {
			return nil, fmt.Errorf("read connection string: a quote of %s is not closed", strings.TrimSpace(name))
		}
		l[strings.TrimSpace(name)] = value
	}
	return l, nil
}

// cutValue takes the first value off, which may be quoted and have backslashes.
func cutValue(text string) (value, rest string, ok bool) {
	quoted := strings.HasPrefix(text, "'")
	if quoted {
		text = text[1:]
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text):
			i++
			b.WriteByte(text[i])
		case quoted && c == '\'':
			return b.String(), text[i+1:], true
		case !quoted && (c == ' ' || c == '\t' || c == '\n'):
			return b.String(), text[i:], true
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), "", !quoted
}

// In is the login to another database.
func (l Login) In(database string) Login { return l.with("dbname", database) }

// As is the login of another role.
func (l Login) As(role, password string) Login {
	l = l.with("user", role).with("password", password)
	for _, name := range []string{"passfile", "sslcert", "sslkey"} { // they are the other's
		delete(l, name)
	}
	return l
}

// At is the login to a member at another address, "host:port" or a socket's path.
func (l Login) At(address string) Login {
	l = maps.Clone(l)
	for _, name := range []string{"hostaddr", "target_session_attrs"} {
		delete(l, name)
	}
	if folder, port, ok := strings.Cut(address, "/.s.PGSQL."); ok {
		l["host"], l["port"] = folder, port
		return l
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		host, port = address, "5432"
	}
	l["host"], l["port"] = host, port
	return l
}

// With is the login with a parameter more.
func (l Login) With(name, value string) Login { return l.with(name, value) }

func (l Login) with(name, value string) Login {
	l = maps.Clone(l)
	l[name] = value
	return l
}

// String is the connection string, for pgx. It has the password.
func (l Login) String() string {
	words := make([]string, 0, len(l))
	for _, name := range slices.Sorted(maps.Keys(l)) {
		words = append(words, name+"='"+strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(l[name])+"'")
	}
	return strings.Join(words, " ")
}

// environ is what a program of PostgreSQL is told.
func (l Login) environ() []string {
	all := []string{"PGAPPNAME=howdah", "PGCLIENTENCODING=UTF8"}
	for _, name := range slices.Sorted(maps.Keys(l)) {
		if variable, ok := variables[name]; ok {
			all = append(all, variable+"="+l[name])
		}
	}
	return all
}
