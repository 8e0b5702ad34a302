package tenants

import (
	"encoding/hex"
	"errors"
	"strings"

	"howdah/wire"
)

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
