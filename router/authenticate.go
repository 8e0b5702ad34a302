package router

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"
	"time"

	"howdah/router/hba"
	"howdah/tenants"
	"howdah/wire"
)

// local reports whether the client cannot come from another machine.
func (l *login) local() bool { return l.bySocket || l.client.IsLoopback() }

// authenticate has the client prove who it is, unless too many have failed to.
// What is refused for that reason does not tell whether the proof was right.
func (l *login) authenticate(snapshot *tenants.Snapshot) error {
	if err := l.tooMany(time.Now()); err != nil {
		return err
	}
	err := l.authenticateByRule(snapshot)
	failed := errors.Is(err, wire.ErrAuthentication)
	if err != nil && !failed {
		return err
	}
	now := time.Now()
	refusal := l.tooMany(now)
	if failed || refusal == nil {
		l.count(failed, now)
	}
	if refusal != nil {
		return refusal
	}
	return err
}

// authenticateByRule has the client prove who it is in the way that the rules
// want. Strangers and users without a password go through the same motions as
// others.
func (l *login) authenticateByRule(snapshot *tenants.Snapshot) error {
	rule, err := l.rule()
	if err != nil {
		return err
	}
	if rule.Method == hba.Trust && !l.trustable() {
		return wire.Fatal(wire.CodeInvalidAuthorization, "trust does not hold by TCP where proxies are believed", "proxy_protocol_from is set.")
	}
	if rule.ClientCert != hba.NoCert && !l.certified() {
		return wire.Fatal(wire.CodeInvalidAuthorization, "connection requires a valid client certificate",
			"Connect with a certificate that the authorities in tls_ca_file have signed.")
	}
	if err := l.prove(snapshot, rule); err != nil {
		if errors.Is(err, wire.ErrAuthentication) {
			l.server.lookups.drop(l.asked) // the password may just have been changed
		}
		return err
	}
	if rule.ClientCert == hba.VerifyFull {
		if err := l.proveByCertificate(rule); err != nil {
			return err
		}
	}
	if u, ok := snapshot.User(l.user); ok && u.ServerSecret != "" {
		l.secret = withServerSecret(l.secret, u.ServerSecret)
	}
	return nil
}

// withServerSecret adds a user's configured secret to what the login has shown,
// for servers that ask for something else.
func withServerSecret(shown *wire.Secret, s string) *wire.Secret {
	secret := serverSecret(s)
	if shown == nil {
		return secret
	}
	secret.Scram = shown.Scram
	if shown.MD5 != "" {
		secret.MD5 = shown.MD5
	}
	return secret
}

// trustable reports whether trust may hold. What a proxy tells is no ground for
// it: a proxy on this machine would make the whole world local.
func (l *login) trustable() bool { return l.bySocket || len(l.server.config().ProxyFrom) == 0 }

// serverSecret makes of a user's configured secret what logs in to servers.
func serverSecret(s string) *wire.Secret {
	if wire.IsMD5(s) {
		return &wire.Secret{MD5: s}
	}
	return &wire.Secret{Password: s}
}

// rule returns what the client has to show. Without a table of rules that is
// auth_type's, and trust then holds on this machine only.
func (l *login) rule() (*hba.Rule, error) {
	c := l.server.config()
	if c.HBA != nil {
		return l.ruleOf(c.HBA)
	}
	switch {
	case c.AuthType == "trust" && l.local() && l.trustable():
		return &hba.Rule{Method: hba.Trust}, nil
	case c.AuthType == "cert":
		return &hba.Rule{Method: hba.Cert}, nil
	}
	return &hba.Rule{Method: hba.MD5}, nil
}

// ruleOf finds the client's rule in the table. Refusals are in PostgreSQL's
// words.
func (l *login) ruleOf(rules *hba.Rules) (*hba.Rule, error) {
	c := &hba.Connection{
		Local: l.bySocket, TLS: l.accepted.TLS != nil, Address: l.client,
		Database: l.database, User: l.user, Replication: l.physical,
	}
	if v := l.server.virtual[l.database]; v != nil {
		c.Aliases = v.names
	}
	rule := rules.Match(c)
	said := "no pg_hba.conf entry for"
	switch {
	case rule == nil:
	case rule.Method == hba.Reject:
		said = "pg_hba.conf rejects connection for"
	default:
		return rule, nil
	}
	host, encryption := "[local]", "no encryption"
	if !l.bySocket {
		host = l.client.String()
	}
	if l.accepted.TLS != nil {
		encryption = "SSL encryption"
	}
	if l.physical {
		said = strings.Replace(said, "connection for", "replication connection for", 1)
		said = strings.Replace(said, "entry for", "entry for replication connection from", 1)
		return nil, wire.Fatal(wire.CodeInvalidAuthorization, fmt.Sprintf("%s host %q, user %q, %s", said, host, l.user, encryption), "")
	}
	return nil, wire.Fatal(wire.CodeInvalidAuthorization,
		fmt.Sprintf("%s host %q, user %q, database %q, %s", said, host, l.user, l.database, encryption), "")
}

// prove runs the rule's method.
func (l *login) prove(snapshot *tenants.Snapshot, rule *hba.Rule) error {
	l.final = wire.AppendAuthentication(nil, wire.AuthOK, nil)
	switch rule.Method {
	case hba.Trust:
		return nil
	case hba.Cert:
		return l.proveByCertificate(rule)
	case hba.Peer:
		return l.proveByPeer(rule)
	}
	stored, err := l.stored(snapshot)
	if err != nil {
		return err
	}
	switch {
	case rule.Method == hba.Password:
		return l.proveByPassword(stored)
	case rule.Method == hba.MD5 && wire.IsMD5(stored[0]):
		if err := wire.AuthenticateMD5(l.accepted.Conn, l.user, stored[0]); err != nil {
			return err
		}
		l.secret = &wire.Secret{MD5: stored[0]}
		return nil
	}
	return l.proveByScram(stored)
}

// stored returns the user's verifier, and behind it those that go on beside it for a
// while: the registry's, or that of a cluster that can be asked.
func (l *login) stored(snapshot *tenants.Snapshot) ([]string, error) {
	if u, ok := snapshot.User(l.user); ok && u.Verifier != "" {
		return u.Verifiers(time.Now()), nil
	}
	verifier, err := l.verifierOf(snapshot)
	return []string{verifier}, err
}

// verifiers returns what a password is checked with, for a user without one a
// mock that no password fits.
func (l *login) verifiers(stored []string) (all []*wire.Verifier, known bool) {
	for _, text := range stored {
		if v, err := wire.ParseVerifier(text); err == nil {
			all = append(all, v)
		}
	}
	if len(all) == 0 {
		return []*wire.Verifier{wire.MockVerifier(l.user, l.server.nodeSecret)}, false
	}
	return all, true
}

func (l *login) proveByScram(stored []string) error {
	all, known := l.verifiers(stored)
	final, keys, err := wire.AuthenticateSCRAM(l.accepted.Conn, all, l.accepted.Binding)
	if err != nil {
		return err
	}
	if !known {
		return wire.ErrAuthentication
	}
	l.final, l.secret = final, &wire.Secret{Scram: &keys}
	return nil
}

// proveByPassword takes the password itself, where nobody can listen.
func (l *login) proveByPassword(stored []string) error {
	if !l.bySocket && l.accepted.TLS == nil {
		return wire.Fatal(wire.CodeInvalidAuthorization, "the password would go over the network in clear text", "Set sslmode=require.")
	}
	password, err := wire.AskPassword(l.accepted.Conn)
	if err != nil {
		return err
	}
	if wire.IsMD5(stored[0]) {
		if subtle.ConstantTimeCompare([]byte(wire.MakeMD5(password, l.user)), []byte(stored[0])) != 1 {
			return wire.ErrAuthentication
		}
		l.secret = &wire.Secret{MD5: stored[0]}
		return nil
	}
	all, known := l.verifiers(stored)
	keys, ok := wire.KeysOf(password, all)
	if !ok || !known {
		return wire.ErrAuthentication
	}
	l.secret = &wire.Secret{Scram: &keys}
	return nil
}

// proveByCertificate takes the common name of a certificate, which the
// handshake has verified, for the user's proof.
func (l *login) proveByCertificate(rule *hba.Rule) error {
	if l.server.config().Maps.Allows(rule.Map, l.commonName(), l.user) {
		return nil
	}
	return wire.Fatal(wire.CodeInvalidAuthorization, fmt.Sprintf("certificate authentication failed for user %q", l.user),
		"Connect with TLS and a client certificate whose common name is the user, or one that the rule's map has.")
}

// certified reports whether the client has shown a certificate that the
// authorities have signed.
func (l *login) certified() bool {
	return l.accepted.TLS != nil && len(l.accepted.TLS.ConnectionState().VerifiedChains) > 0
}

// commonName returns that of the client's certificate, "" if it has shown none
// that was verified, or one with a name that a zero byte cuts short.
func (l *login) commonName() string {
	if !l.certified() {
		return ""
	}
	name := l.accepted.TLS.ConnectionState().PeerCertificates[0].Subject.CommonName
	if strings.Contains(name, "\x00") {
		return ""
	}
	return name
}

// proveByPeer takes the operating system's word for who is at the other end.
func (l *login) proveByPeer(rule *hba.Rule) error {
	if l.server.config().Maps.Allows(rule.Map, peerName(l.transport.Conn), l.user) {
		return nil
	}
	return wire.Fatal(wire.CodeInvalidAuthorization, fmt.Sprintf("Peer authentication failed for user %q", l.user),
		"The operating system's user must have that name, or one that the rule's map has.")
}
