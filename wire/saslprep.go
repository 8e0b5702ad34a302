package wire

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/bidi"
	"golang.org/x/text/unicode/norm"
)

// saslPrep returns password as PostgreSQL hashes it: prepared by SASLprep (RFC
// 4013), or as it is where it is not UTF-8 or SASLprep forbids it, since
// PostgreSQL lets people have such passwords.
func saslPrep(password string) string {
	for i := range len(password) {
		if password[i] >= utf8.RuneSelf {
			return saslPrepUnicode(password)
		}
	}
	return password // ASCII, control characters included, stays
}

func saslPrepUnicode(password string) string {
	if !utf8.ValidString(password) {
		return password
	}
	mapped := strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(otherSpaces, r):
			return ' '
		case unicode.Is(mappedToNothing, r):
			return -1
		}
		return r
	}, password)
	prepared := norm.NFKC.String(mapped)
	if prepared == "" || !allowedBySASLprep(prepared) {
		return password
	}
	return prepared
}

// allowedBySASLprep judges text behind the normalization: no forbidden or
// unassigned characters, and where anything is written from right to left
// then all of it is (RFC 3454, section 6).
func allowedBySASLprep(text string) bool {
	var left, right bool
	var first, last bidi.Class
	for i, r := range text {
		if unicode.Is(prohibitedOutput, r) || unicode.Is(unassigned32, r) {
			return false
		}
		p, _ := bidi.LookupRune(r)
		last = p.Class()
		if i == 0 {
			first = last
		}
		left = left || last == bidi.L
		right = right || fromRight(last)
	}
	return !right || !left && fromRight(first) && fromRight(last)
}

func fromRight(c bidi.Class) bool { return c == bidi.R || c == bidi.AL }
