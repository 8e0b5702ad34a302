package wire

import (
	"crypto/md5"
	"encoding/hex"
	"strings"
)

// The md5 method of PostgreSQL (manual, "Password Authentication"): the server
// keeps "md5" and the hex digest of password and user, the client answers a
// random salt of 4 bytes with a digest of that.

const md5Prefix = "md5"

// MakeMD5 returns the "md5…" form of pg_authid.rolpassword.
func MakeMD5(password, user string) string {
	return md5Prefix + hexMD5(password, user)
}

// IsMD5 reports whether s has the form that MakeMD5 returns.
func IsMD5(s string) bool {
	digest, ok := strings.CutPrefix(s, md5Prefix)
	return ok && len(digest) == hex.EncodedLen(md5.Size) && strings.Trim(digest, "0123456789abcdef") == ""
}

// answerMD5 returns what a client that knows verifier answers to salt.
func answerMD5(verifier string, salt []byte) string {
	return md5Prefix + hexMD5(strings.TrimPrefix(verifier, md5Prefix), string(salt))
}

func hexMD5(parts ...string) string {
	h := md5.New()
	for _, p := range parts {
		h.Write([]byte(p))
	}
	return hex.EncodeToString(h.Sum(nil))
}
