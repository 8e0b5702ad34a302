package router

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"

	"howdah/router/members"
	"howdah/tenants"
	"howdah/wire"
)

// The members of a cluster may come and go, where Patroni names them, and a
// member's name may come to lead to another server.

var (
	errInRecovery = errors.New("router: the server is in recovery, and no primary")
	errAnother    = errors.New("router: the server is another instance than the one that was found to be the primary")
)

// samePatroni reports whether both clusters' members are found in the same way.
func samePatroni(a, b *tenants.Cluster) bool {
	return slices.Equal(a.Patroni, b.Patroni) && a.PatroniCAFile == b.PatroniCAFile
}

// patroniOf says how Patroni is asked about a cluster, nil for not.
func (s *Server) patroniOf(c *tenants.Cluster) (*members.Patroni, error) {
	if len(c.Patroni) == 0 {
		return nil, nil
	}
	p := &members.Patroni{}
	for i, text := range c.Patroni {
		u, err := url.Parse(text)
		if err != nil || u.Host == "" {
			return nil, fmt.Errorf("number %d of patroni is no URL", i+1) // what it is may be secret
		}
		p.URLs = append(p.URLs, u)
	}
	if c.PatroniCAFile != "" {
		pem, err := os.ReadFile(c.PatroniCAFile)
		if err != nil {
			return nil, fmt.Errorf("read CA of Patroni: %w", err)
		}
		p.CA = x509.NewCertPool()
		p.CA.AppendCertsFromPEM(pem)
	}
	return p, nil
}

// firstOf returns the member that a cluster names first, "" where Patroni has
// not named any.
func firstOf(c *tenants.Cluster) string {
	if len(c.Members) == 0 {
		return ""
	}
	return c.Members[0].Address
}

// forgetMember has the servers at an address opened as another member's from now
// on. s.mu is held.
func (s *Server) forgetMember(address string) {
	for key := range s.members {
		if strings.HasPrefix(key, address+"\x00") {
			delete(s.members, key)
		}
	}
}

// leaveGone closes the route's pools at standbys that are no members any more.
func (r *route) leaveGone() {
	var left []*standby
	r.standbys = slices.DeleteFunc(r.standbys, func(s *standby) bool {
		if s.at.Gone() {
			left = append(left, s)
		}
		return s.at.Gone()
	})
	for _, s := range left {
		s.pool.Close()
	}
}

// elsewhere reports whether the client's server is at another than the primary.
func (c *client) elsewhere(now *members.Member) bool {
	at := c.server.Member
	return at.Address != now.Address || now.Moved() && at != &c.route.member.Load().Member
}

// checkPrimary reports what is wrong with a server that has just been opened at
// what was a watched cluster's primary when that was last asked. It may have come
// back as a standby, which PostgreSQL says from version 14 on. And its name may
// lead to another server, which may even take writes.
func (r *route) checkPrimary(ctx context.Context, m *member, e *wire.Established) error {
	w := r.w.server.watchOf(r.databaseKey().cluster)
	if w == nil || w.Blind() {
		return nil
	}
	if slices.Contains(e.Parameters, wire.Parameter{Name: "in_hot_standby", Value: "on"}) {
		return errInRecovery
	}
	now := w.Primary()
	if now == nil || now.Address != m.Address || members.HostName(m.Address) == "" {
		return nil // in the first cases the pool has no use for it any more
	}
	same, err := isInstance(ctx, e, now)
	if err == nil && !same {
		w.Doubt()
		err = errAnother
	}
	return err
}

// isInstance reports whether a server is the very instance that was last asked.
func isInstance(ctx context.Context, e *wire.Established, m *members.Member) (bool, error) {
	rows, err := e.Ask(ctx, "select "+members.StartedText)
	return err == nil && len(rows) == 1 && len(rows[0]) == 1 && rows[0][0] != nil && *rows[0][0] == m.Started(), err
}
