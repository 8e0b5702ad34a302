package tenants

import (
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"howdah/wire"
)

// Verifiers returns what the user's password is checked with at a time: the user's
// verifier, and those that go on beside it. None is a user without a password.
func (u *User) Verifiers(now time.Time) []string {
	if u.Verifier == "" {
		return nil
	}
	all := []string{u.Verifier}
	for _, old := range u.OldVerifiers {
		if until, verifier, err := ParseOldVerifier(old); err == nil && now.Before(until) {
			all = append(all, verifier)
		}
	}
	return all
}

// ParseOldVerifier reads one of a User's OldVerifiers.
func ParseOldVerifier(text string) (until time.Time, verifier string, err error) {
	at, verifier, _ := strings.Cut(text, " ")
	if until, err = time.Parse(time.RFC3339, at); err != nil {
		return time.Time{}, "", errors.New("it does not begin with a time such as 2026-01-31T12:00:00Z and a space")
	}
	return until, verifier, CheckVerifier(verifier)
}

// OldVerifier is what ParseOldVerifier reads.
func OldVerifier(until time.Time, verifier string) string {
	return until.UTC().Format(time.RFC3339) + " " + verifier
}

// CheckOldVerifier is an error for what is none, and for one that cannot be checked
// together with verifier: in one SCRAM exchange, since the client hears of one salt.
func CheckOldVerifier(text, verifier string) error {
	_, old, err := ParseOldVerifier(text)
	if err != nil {
		return err
	}
	v, err := wire.ParseVerifier(verifier)
	if err != nil {
		return errors.New("only one that begins with " + wire.MechanismScram + " goes on beside another")
	}
	o, err := wire.ParseVerifier(old)
	if err != nil || !o.Kin(v) {
		return errors.New("its salt and iterations are not those of the verifier")
	}
	return nil
}

// CheckVerifier reports whether v has the form of a secret in pg_authid:
// SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey> (base64) or md5 with
// 32 lower-case hexadecimal digits. The error never repeats v, for what is no
// verifier is often a password.
func CheckVerifier(v string) error {
	if strings.HasPrefix(v, wire.MechanismScram+"$") {
		_, err := wire.ParseVerifier(v)
		return err
	}
	digits, ok := strings.CutPrefix(v, "md5")
	if !ok || len(digits) != 32 {
		return errors.New("it is neither SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey> nor md5 with 32 hexadecimal digits")
	}
	if _, err := hex.DecodeString(digits); err != nil || digits != strings.ToLower(digits) {
		return errors.New("md5 is not followed by 32 lower-case hexadecimal digits")
	}
	return nil
}
