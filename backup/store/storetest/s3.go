package storetest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"howdah/backup/store"
)

// s3Version is what testdata/getversitygw installs.
const s3Version = "v1.8.0"

// S3 is a real S3 server of the test's own, versitygw, which speaks TLS with a
// certificate of its own.
type S3 struct {
	Endpoint string // https://127.0.0.1:PORT
	CAFile   string // of its certificate
	Data     string // the folder with a folder for each bucket
	ReadOnly bool   // what Start makes of it from then on

	args []string
	cmd  *exec.Cmd
}

// S3Credentials are the server's administrator's.
func S3Credentials() store.S3Credentials {
	return store.S3Credentials{AccessKey: "storetest", SecretKey: "storetest-secret"}
}

// StartS3 starts a server without buckets, with more arguments for its posix
// backend if any are given. It ends with the test.
func StartS3(t testing.TB, args ...string) *S3 {
	t.Helper()
	program := findS3(t)
	s := &S3{Data: dataFolder(t)}
	folder := t.TempDir()
	s.CAFile = filepath.Join(folder, "cert.pem")
	key := filepath.Join(folder, "key.pem")
	writeCertificate(t, s.CAFile, key)
	port := freePort(t)
	s.Endpoint = "https://" + port
	s.args = append([]string{program, "--port", port, "--cert", s.CAFile, "--key", key, "--quiet", "--keep-alive", "posix"}, append(args, s.Data)...)
	s.Start(t)
	t.Cleanup(s.Kill)
	return s
}

// Start starts the server again after Kill.
func (s *S3) Start(t testing.TB) {
	t.Helper()
	log := &strings.Builder{}
	s.cmd = exec.Command(s.args[0], s.args[1:]...)
	s.cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+S3Credentials().AccessKey, "ROOT_SECRET_KEY="+S3Credentials().SecretKey)
	if s.ReadOnly {
		s.cmd.Env = append(s.cmd.Env, "VGW_READ_ONLY=true")
	}
	s.cmd.Stdout, s.cmd.Stderr = log, log
	s.cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		t.Fatalf("start versitygw: %v", err)
	}
	for range 200 {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.Endpoint, "https://"))
		if err == nil {
			conn.Close()
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	s.Kill()
	t.Fatalf("versitygw does not answer in 10 seconds: %s", log)
}

// Kill ends the server as a power cut would.
func (s *S3) Kill() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

// URL makes a bucket, if need be, and returns the URL of a store in it, with
// more options if any are given: "name=value".
func (s *S3) URL(t testing.TB, bucket, prefix string, options ...string) string {
	t.Helper()
	if err := os.Mkdir(filepath.Join(s.Data, bucket), 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		t.Fatal(err)
	}
	query := url.Values{"endpoint": {s.Endpoint}, "ca_file": {s.CAFile}, "region": {"us-east-1"}}
	for _, option := range options {
		name, value, _ := strings.Cut(option, "=")
		query.Set(name, value)
	}
	return (&url.URL{Scheme: "s3", Host: bucket, Path: "/" + prefix, RawQuery: query.Encode()}).String()
}

// OpenS3 opens the store at a URL as the server's administrator.
func OpenS3(t testing.TB, where string) *store.S3 {
	t.Helper()
	config, err := store.ParseS3URL(where)
	if err != nil {
		t.Fatalf("store %q %v", where, err)
	}
	config.Credentials = S3Credentials()
	s, err := store.OpenS3(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// findS3 returns where testdata/getversitygw has put the program.
func findS3(t testing.TB) string {
	t.Helper()
	folders := []string{"/var/cache"}
	if own, err := os.UserCacheDir(); err == nil {
		folders = append(folders, own)
	}
	for _, folder := range folders {
		program := filepath.Join(folder, "howdah", "versitygw-"+s3Version, "versitygw")
		if _, err := os.Stat(program); err == nil {
			return program
		}
	}
	t.Fatalf("versitygw %s is not there; run: testdata/getversitygw", s3Version)
	return ""
}

// dataFolder is in memory, if there is room: the tests are not about disks.
func dataFolder(t testing.TB) string {
	t.Helper()
	const memory = "/dev/shm"
	var stat unix.Statfs_t
	if err := unix.Statfs(memory, &stat); err != nil || stat.Bavail < 1<<30/uint64(stat.Bsize) {
		return t.TempDir()
	}
	folder, err := os.MkdirTemp(memory, "howdah-s3")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	if err := unix.Setxattr(folder, "user.howdah", []byte("1"), 0); err != nil {
		return t.TempDir() // what objects are called is kept in such attributes
	}
	return folder
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// writeCertificate makes a certificate for 127.0.0.1 that vouches for itself.
func writeCertificate(t testing.TB, certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []struct {
		path, kind string
		bytes      []byte
	}{{certFile, "CERTIFICATE", cert}, {keyFile, "PRIVATE KEY", private}} {
		if err := os.WriteFile(file.path, pem.EncodeToMemory(&pem.Block{Type: file.kind, Bytes: file.bytes}), 0o600); err != nil {
			t.Fatal(fmt.Errorf("write %q: %w", file.path, err))
		}
	}
}
