package store

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"strings"

	"github.com/minio/minio-go/v7"
)

// s3Error says in words what a server's answer, or its silence, means.
type s3Error struct {
	text string
	is   error // fs.ErrPermission: trying again is of no use; nil: it is
}

func (e *s3Error) Error() string { return e.text }
func (e *s3Error) Unwrap() error { return e.is }

func isNotFound(err error) bool { return errors.Is(err, ErrNotFound) }

// codes of S3's errors by what they mean here; what is in no list is trouble
// that may pass.
const (
	codesRegion  = " AuthorizationHeaderMalformed InvalidRegion PermanentRedirect TemporaryRedirect IllegalLocationConstraintException "
	codesInvalid = " InvalidRange KeyTooLongError MetadataTooLarge EntityTooLarge XMinioInvalidObjectName ObjectParentIsFile XMinioParentIsObject ObjectExistsAsDirectory "
	codesRefused = " InvalidStorageClass InvalidArgument InvalidRequest InvalidBucketName InvalidEncryptionAlgorithmError NotImplemented MethodNotAllowed " +
		"InvalidToken ExpiredToken InvalidObjectState MalformedXML MissingContentMD5 UnsupportedOperation ObjectLockConfigurationNotFoundError "
)

func isOneOf(code, codes string) bool {
	return code != "" && strings.Contains(codes, " "+code+" ")
}

// plain says in our words what went wrong with a request.
func (s *S3) plain(ctx context.Context, err error) error {
	var answer minio.ErrorResponse
	switch {
	case err == nil:
		return nil
	case errors.As(err, &answer) && answer.RequestID != "minio":
		return s.answered(answer)
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return s.unanswered(err)
}

// answered is what the server's answer means.
func (s *S3) answered(a minio.ErrorResponse) error {
	is := func(code string) bool { return a.Code == code }
	refused := func(format string, args ...any) error {
		return &s3Error{fmt.Sprintf(format, args...) + s.said(a), fs.ErrPermission}
	}
	switch {
	case a.StatusCode == http.StatusNotFound && a.XMLName.Local == "":
		return refused("%s says 404 and not what is missing: is it an S3 server?", s.endpoint)
	case is(minio.NoSuchKey):
		return ErrNotFound
	case is(minio.PreconditionFailed):
		return ErrExists
	case is(minio.NoSuchBucket):
		return refused("there is no bucket %q at %s", s.config.Bucket, s.endpoint)
	case is(minio.InvalidAccessKeyID), is("XAdminUserNotFound"):
		return refused("%s does not know the access key", s.endpoint)
	case is(minio.SignatureDoesNotMatch):
		return refused("the secret key is not the access key's, or a proxy changes requests on their way to %s", s.endpoint)
	case is(minio.NoSuchUpload):
		return refused("the upload is not in bucket %q any more: it was aborted, or completed by a request whose answer was lost", s.config.Bucket)
	case isOneOf(a.Code, codesRegion) || a.StatusCode == http.StatusMovedPermanently:
		return refused("bucket %q is in another region than %q, or at another endpoint than %s", s.config.Bucket, s.config.Region, s.endpoint)
	case is(minio.RequestTimeTooSkewed):
		return &s3Error{text: fmt.Sprintf("the clock here and that of %s differ by too much", s.endpoint) + s.said(a)}
	case isOneOf(a.Code, codesInvalid):
		return fmt.Errorf("%w for %s: %s%s", ErrInvalid, s.endpoint, a.Code, s.said(a))
	case a.StatusCode == http.StatusForbidden, isOneOf(a.Code, codesRefused):
		return refused("%s does not allow that for bucket %q", s.endpoint, s.config.Bucket)
	}
	return &s3Error{text: fmt.Sprintf("%s has answered with an error", s.endpoint) + s.said(a)}
}

// said repeats the server's own words.
func (s *S3) said(a minio.ErrorResponse) string {
	text := fmt.Sprintf(" (%d %s: %.300s", a.StatusCode, a.Code, a.Message)
	if a.Region != "" && a.Region != s.config.Region {
		text += fmt.Sprintf("; its region is %q", a.Region)
	}
	return text + ")"
}

// unanswered is what it means that there is no answer.
func (s *S3) unanswered(err error) error {
	var broken *url.Error
	if errors.As(err, &broken) {
		err = broken.Err // the rest of it is the request's whole URL
	}
	var untrusted *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(err, &unknown):
		return &s3Error{fmt.Sprintf("the certificate of %s is signed by nobody who is trusted here: give ca_file (%v)", s.endpoint, err), fs.ErrPermission}
	case errors.As(err, &untrusted):
		return &s3Error{fmt.Sprintf("the certificate of %s is not good: %v", s.endpoint, err), fs.ErrPermission}
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return &s3Error{fmt.Sprintf("%s does not encrypt; http:// and insecure=true would do", s.endpoint), fs.ErrPermission}
	}
	return fmt.Errorf("ask %s: %w", s.endpoint, err)
}
