package store

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
)

// S3Config says which bucket of which server a store is in, and how objects are
// put there.
type S3Config struct {
	Bucket string
	Prefix string // of all keys, without a slash at its end; "" is none

	Endpoint string // "https://host:port"; "" is Amazon's for the region
	Region   string // "" asks the server
	// PathStyle is where the bucket's name goes: "true" into the path of the
	// URL, "false" into the host's name, "" what the endpoint is known for.
	PathStyle string
	Insecure  bool   // the endpoint may be http://
	CAFile    string // certificates of authorities, in PEM, instead of the system's

	StorageClass string // "" is the bucket's own
	SSE          string // how the server encrypts: "AES256", "aws:kms" or "", the bucket's own way
	KMSKey       string // the key's id for aws:kms; "" is the bucket's own
	Lock         string // retention mode: "GOVERNANCE", "COMPLIANCE" or "", the bucket's own
	LockDays     int    // for how long nobody can remove an object
	// Checksum goes with what is put, and the server compares: "crc32c", which
	// "" means too, "md5" for servers that do not know it, "none".
	Checksum string

	Credentials S3Credentials
}

// S3Credentials are who asks.
type S3Credentials struct {
	AccessKey, SecretKey string
	SessionToken         string // of credentials that are lent for a while
}

// maxS3Prefix leaves keys their 900 of S3's 1024 bytes.
const maxS3Prefix = 120

// ParseS3URL reads "s3://bucket/prefix?endpoint=https://host:port&region=…", with
// the options named as S3Config's fields are, in snake_case. Credentials are not
// in it. Its errors do not repeat it.
func ParseS3URL(text string) (S3Config, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "s3":
		return S3Config{}, errors.New("is no URL that begins with s3://")
	case u.User != nil:
		return S3Config{}, errors.New("has credentials in it: they belong into a file of their own, or the environment")
	case u.Host == "":
		return S3Config{}, errors.New("names no bucket: s3://BUCKET/PREFIX")
	case u.Port() != "":
		return S3Config{}, errors.New("has a port where the bucket belongs: s3://BUCKET/PREFIX?endpoint=https://HOST:PORT")
	case u.Fragment != "":
		return S3Config{}, errors.New("has a # in it")
	}
	c := S3Config{Bucket: u.Host, Prefix: strings.Trim(u.Path, "/")}
	options, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return S3Config{}, errors.New("has options that cannot be read: ?name=value&name=value")
	}
	for name, values := range options {
		if len(values) > 1 {
			return S3Config{}, fmt.Errorf("has option %q %d times", name, len(values))
		}
		if err := c.set(name, values[0]); err != nil {
			return S3Config{}, err
		}
	}
	return c, c.check()
}

// set sets one option of the URL.
func (c *S3Config) set(name, value string) error {
	texts := map[string]*string{
		"endpoint": &c.Endpoint, "region": &c.Region, "path_style": &c.PathStyle, "ca_file": &c.CAFile,
		"storage_class": &c.StorageClass, "sse": &c.SSE, "kms_key": &c.KMSKey, "lock": &c.Lock, "checksum": &c.Checksum,
	}
	var err error
	switch text := texts[name]; {
	case text != nil && value == "":
		return fmt.Errorf("has no value for option %q", name)
	case text != nil:
		*text = value
	case name == "insecure":
		c.Insecure, err = strconv.ParseBool(value)
	case name == "lock_days":
		c.LockDays, err = strconv.Atoi(value)
	default:
		return fmt.Errorf("has an unknown option %q", name)
	}
	if err != nil {
		return fmt.Errorf("has option %s=%q, which is no %s", name, value, map[string]string{"insecure": "true or false", "lock_days": "number of days"}[name])
	}
	return nil
}

// check says what can be said without asking the server.
func (c *S3Config) check() error {
	one := func(name, value string, of ...string) error {
		if value != "" && !slices.Contains(of, value) {
			return fmt.Errorf("has option %s=%q, which is none of %s", name, value, strings.Join(of, ", "))
		}
		return nil
	}
	prefix := error(nil)
	if c.Prefix != "" {
		prefix = CheckKey(c.Prefix)
	}
	switch {
	case len(c.Bucket) < 3 || len(c.Bucket) > 63 || strings.Trim(c.Bucket, "abcdefghijklmnopqrstuvwxyz0123456789.-") != "":
		return fmt.Errorf("names bucket %.80q: a name has 3 to 63 lower-case letters, digits, dots and dashes", c.Bucket)
	case prefix != nil:
		return fmt.Errorf("has a prefix that no key can begin with: %w", prefix)
	case len(c.Prefix) > maxS3Prefix:
		return fmt.Errorf("has a prefix of %d bytes, of at most %d", len(c.Prefix), maxS3Prefix)
	case c.SSE != "aws:kms" && c.KMSKey != "":
		return errors.New("has a kms_key without sse=aws:kms")
	case (c.Lock == "") != (c.LockDays == 0) || c.LockDays < 0:
		return errors.New("has one of lock and lock_days without the other: lock=COMPLIANCE&lock_days=30")
	case c.Lock != "" && c.Checksum == "none":
		return errors.New("has lock and checksum=none: servers take no locked object without a checksum")
	case slices.Contains([]string{"GLACIER", "DEEP_ARCHIVE"}, c.StorageClass):
		return fmt.Errorf("has storage_class=%s: what is there cannot be read when it is needed", c.StorageClass)
	}
	return errors.Join(
		one("path_style", c.PathStyle, "true", "false"), one("sse", c.SSE, "AES256", "aws:kms"),
		one("lock", c.Lock, "GOVERNANCE", "COMPLIANCE"), one("checksum", c.Checksum, "crc32c", "md5", "none"),
		c.checkEndpoint())
}

func (c *S3Config) checkEndpoint() error {
	if c.Endpoint == "" {
		return nil
	}
	u, err := url.Parse(c.Endpoint)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("has an endpoint that is not https://HOST or https://HOST:PORT")
	case u.Path != "" && u.Path != "/":
		return errors.New("has an endpoint with a path: bucket and prefix belong behind s3://")
	case u.Scheme == "http" && !c.Insecure:
		return errors.New("has an endpoint without encryption: write https://, or add insecure=true if all who are on the way may see and change what passes")
	}
	return nil
}

// endpoint is the server's URL.
func (c *S3Config) endpoint() string {
	switch {
	case c.Endpoint != "":
		return strings.TrimSuffix(c.Endpoint, "/")
	case c.Region != "":
		return "https://s3." + c.Region + ".amazonaws.com"
	}
	return "https://s3.amazonaws.com"
}

// authorities returns whose signatures on certificates count; nil is the
// system's choice.
func (c *S3Config) authorities() (*x509.CertPool, error) {
	if c.CAFile == "" {
		return nil, nil
	}
	text, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("read ca_file: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("read ca_file %q: there is no certificate in PEM in it", c.CAFile)
	}
	return pool, nil
}

// ParseS3Credentials reads the file that Amazon's tools use, its section
// [default] if it has any: aws_access_key_id, aws_secret_access_key and, if there
// is one, aws_session_token. Its errors do not repeat the file.
func ParseS3Credentials(text string) (S3Credentials, error) {
	var c S3Credentials
	section := "default"
	for number, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		if name, ok := strings.CutPrefix(line, "["); ok {
			section = strings.TrimSpace(strings.TrimSuffix(name, "]"))
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok {
			return S3Credentials{}, fmt.Errorf("line %d is not name = value", number+1)
		}
		if section != "default" {
			continue
		}
		value = strings.TrimSpace(value)
		switch strings.TrimSpace(name) {
		case "aws_access_key_id":
			c.AccessKey = value
		case "aws_secret_access_key":
			c.SecretKey = value
		case "aws_session_token":
			c.SessionToken = value
		}
	}
	if c.AccessKey == "" || c.SecretKey == "" {
		return S3Credentials{}, errors.New("there are no aws_access_key_id and aws_secret_access_key in it, or not in its section [default]")
	}
	return c, nil
}
