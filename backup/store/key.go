package store

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxKey  = 900  // S3 takes 1024 bytes, of which the bucket's own prefix needs some
	maxPart = 200  // file systems take 255 bytes
	maxMeta = 2048 // S3's limit on names and values together, in bytes
)

// CheckKey says whether key can name an object: parts separated by "/", of 1 to
// 200 bytes each and 900 together, in UTF-8 without control characters, none of
// them "." or "..". So there is no leading, trailing or double slash.
func CheckKey(key string) error {
	why := ""
	switch {
	case key == "":
		why = "it is empty"
	case len(key) > maxKey:
		why = fmt.Sprintf("it has %d bytes, of at most %d", len(key), maxKey)
	case !utf8.ValidString(key):
		why = "it is not UTF-8"
	case strings.ContainsFunc(key, unlistable):
		why = "it has a control character"
	}
	for part := range strings.SplitSeq(key, "/") {
		switch {
		case why != "":
		case part == "":
			why = "a part of it is empty"
		case part == "." || part == "..":
			why = fmt.Sprintf("a part of it is %q", part)
		case len(part) > maxPart:
			why = fmt.Sprintf("a part of it has %d bytes, of at most %d", len(part), maxPart)
		}
	}
	if why != "" {
		return fmt.Errorf("%w key %.100q: %s", ErrInvalid, key, why)
	}
	return nil
}

// unlistable are the runes that the XML of an S3 listing cannot hold.
func unlistable(r rune) bool {
	return unicode.IsControl(r) || r == '\ufffe' || r == '\uffff'
}

// CheckPrefix says whether keys may begin so: up to its last slash it must be a
// key. What comes after that is only compared.
func CheckPrefix(prefix string) error {
	slash := strings.LastIndexByte(prefix, '/')
	if slash < 0 {
		return nil
	}
	if err := CheckKey(prefix[:slash]); err != nil {
		return fmt.Errorf("in a prefix: %w", err)
	}
	return nil
}

// CheckMeta says whether meta can go with an object: names of lower-case
// letters, digits and dashes, values of printable ASCII without spaces at their
// ends, none of them empty, 2048 bytes together. Headers of HTTP carry no more
// than that unchanged.
func CheckMeta(meta map[string]string) error {
	size := 0
	for name, value := range meta {
		size += len(name) + len(value)
		bad := func(r rune) bool { return r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') }
		if name == "" || strings.ContainsFunc(name, bad) {
			return fmt.Errorf("%w metadata: name %q", ErrInvalid, name)
		}
		bad = func(r rune) bool { return r < ' ' || r > '~' }
		if value == "" || strings.ContainsFunc(value, bad) || strings.TrimSpace(value) != value {
			return fmt.Errorf("%w metadata: value %q of %q", ErrInvalid, value, name)
		}
	}
	if size > maxMeta {
		return fmt.Errorf("%w metadata: %d bytes, of at most %d", ErrInvalid, size, maxMeta)
	}
	return nil
}
