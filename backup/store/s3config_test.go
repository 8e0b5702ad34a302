package store_test

import (
	"strings"
	"testing"

	"howdah/backup/store"
)

func TestParseS3URL(t *testing.T) {
	t.Parallel()
	got, err := store.ParseS3URL("s3://acme-backups/howdah/eu/?endpoint=https://s3.example:9000&region=eu-1&path_style=true&ca_file=/etc/ca.pem" +
		"&storage_class=STANDARD_IA&sse=aws:kms&kms_key=k&lock=GOVERNANCE&lock_days=7&checksum=md5&insecure=false")
	want := store.S3Config{
		Bucket: "acme-backups", Prefix: "howdah/eu", Endpoint: "https://s3.example:9000", Region: "eu-1", PathStyle: "true", CAFile: "/etc/ca.pem",
		StorageClass: "STANDARD_IA", SSE: "aws:kms", KMSKey: "k", Lock: "GOVERNANCE", LockDays: 7, Checksum: "md5",
	}
	if err != nil || got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	for text, bucket := range map[string]string{"s3://abc": "abc", "s3://a.b-c/": "a.b-c", "s3://abc?endpoint=http://127.0.0.1:9000&insecure=true": "abc"} {
		if c, err := store.ParseS3URL(text); err != nil || c.Bucket != bucket || c.Prefix != "" {
			t.Errorf("%s: %+v, %v", text, c, err)
		}
	}
	for text, want := range map[string]string{
		"":                                "is no URL",
		"http://abc":                      "is no URL",
		"s3://%zz":                        "is no URL",
		"s3://":                           "names no bucket",
		"s3:///p":                         "names no bucket",
		"s3://host:9000/abc":              "has a port",
		"s3://key:hunter2@abc":            "has credentials",
		"s3://abc#p":                      "has a #",
		"s3://ab":                         "3 to 63",
		"s3://A_B":                        "3 to 63",
		"s3://abc/a//b":                   "a part of it is empty",
		"s3://abc/../b":                   `is ".."`,
		"s3://abc/" + longPrefix():        "of at most 120",
		"s3://abc?bucket=x":               `unknown option "bucket"`,
		"s3://abc?secret_key=hunter2":     `unknown option "secret_key"`,
		"s3://abc?region=":                `no value for option "region"`,
		"s3://abc?region=a&region=b":      `option "region" 2 times`,
		"s3://abc?a;b":                    "options that cannot be read",
		"s3://abc?insecure=perhaps":       "no true or false",
		"s3://abc?lock_days=NaN":          "no number of days",
		"s3://abc?path_style=yes":         "none of true, false",
		"s3://abc?sse=rot13":              "none of AES256, aws:kms",
		"s3://abc?kms_key=k":              "without sse=aws:kms",
		"s3://abc?sse=AES256&kms_key=k":   "without sse=aws:kms",
		"s3://abc?lock=COMPLIANCE":        "one of lock and lock_days",
		"s3://abc?lock_days=3":            "one of lock and lock_days",
		"s3://abc?lock=x&lock_days=3":     "none of GOVERNANCE, COMPLIANCE",
		"s3://abc?lock_days=-3&lock=x":    "one of lock and lock_days",
		"s3://abc?checksum=sha1":          "none of crc32c, md5, none",
		"s3://abc?storage_class=GLACIER":  "cannot be read when it is needed",
		"s3://abc?endpoint=s3.example":    "not https://HOST",
		"s3://abc?endpoint=ftp://h":       "not https://HOST",
		"s3://abc?endpoint=https://a:b@h": "not https://HOST",
		"s3://abc?endpoint=https://h/abc": "endpoint with a path",
		"s3://abc?endpoint=http://h:9000": "without encryption",
		"s3://abc?checksum=none&lock_days=3&lock=COMPLIANCE": "without a checksum",
	} {
		if c, err := store.ParseS3URL(text); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %+v, %v, want %q", text, c, err, want)
		}
	}
}

func longPrefix() string { return strings.Repeat("p", 121) }

func TestParseS3Credentials(t *testing.T) {
	t.Parallel()
	want := store.S3Credentials{AccessKey: "AK", SecretKey: "s/e=cret"}
	lent := want
	lent.SessionToken = "tok=="
	for text, want := range map[string]store.S3Credentials{
		"aws_access_key_id = AK\naws_secret_access_key = s/e=cret\n":                                                                 want,
		"# ours\r\n[default]\r\naws_access_key_id=AK\r\naws_secret_access_key=s/e=cret\r\n":                                          want,
		"[other]\naws_access_key_id=x\naws_secret_access_key=y\n[default]\naws_access_key_id=AK\naws_secret_access_key=s/e=cret\n":   want,
		"[ default ]\n; x\naws_access_key_id=AK\nregion = eu\naws_secret_access_key=s/e=cret\naws_session_token = tok==\n[x]\na = b": lent,
	} {
		if got, err := store.ParseS3Credentials(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"":                            "no aws_access_key_id",
		"aws_access_key_id = hunter2": "no aws_access_key_id and aws_secret_access_key",
		"[other]\naws_access_key_id=hunter2\naws_secret_access_key=hunter2": "section [default]",
		"hunter2": "line 1 is not name = value",
	} {
		if _, err := store.ParseS3Credentials(text); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
