package router_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"howdah/wire/postgres"
	"howdah/wire/wiretest"
)

// trio is a real etcd with two real Patronis, each with a PostgreSQL of its own.
type trio struct {
	dir   string
	nodes [2]*node
}

// node is one Patroni with its PostgreSQL.
type node struct {
	name    string
	api     string // its REST API's URL
	config  string // file
	log     string
	server  postgres.Config
	patroni *postgres.Child
}

// apiPassword is asked for by Patroni's API where it changes something.
const apiPassword = "rest"

// startTrio returns once one node leads and the other streams.
func startTrio(t *testing.T) *trio {
	t.Helper()
	for _, program := range []string{"etcd", "patroni"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("%v: install it with: testdata/install etcd-server patroni", err)
		}
	}
	c := &trio{dir: wiretest.ServerDir(t)}
	etcd := c.startEtcd(t)
	for i := range c.nodes {
		c.nodes[i] = c.newNode(t, i, etcd)
		c.nodes[i].start(t)
		t.Cleanup(c.nodes[i].kill)
		if i == 0 { // it is to bootstrap the cluster
			c.await(t, "a leader", func(m map[string]string) bool { return m["leader"] == "node0" })
		}
	}
	c.await(t, "a leader and a replica", c.whole)
	return c
}

// whole reports whether one node leads and the other follows.
func (c *trio) whole(roles map[string]string) bool {
	return roles["leader"] != "" && roles["replica"] != ""
}

func (c *trio) startEtcd(t *testing.T) (address string) {
	dir := filepath.Join(c.dir, "etcd")
	makeDir(t, dir)
	address = fmt.Sprintf("127.0.0.1:%d", wiretest.FreePort(t))
	peer := fmt.Sprintf("http://127.0.0.1:%d", wiretest.FreePort(t))
	startAsServer(t, dir+".log", syscall.SIGKILL, "etcd", "--data-dir="+dir, "--name=one",
		"--listen-client-urls=http://"+address, "--advertise-client-urls=http://"+address,
		"--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer, "--initial-cluster=one="+peer)
	return address
}

func (c *trio) newNode(t *testing.T, i int, etcd string) *node {
	n := &node{name: fmt.Sprintf("node%d", i)}
	n.config, n.log = filepath.Join(c.dir, n.name+".json"), filepath.Join(c.dir, n.name+".log")
	listen := fmt.Sprintf("127.0.0.1:%d", wiretest.FreePort(t))
	n.api = "http://howdah:" + apiPassword + "@" + listen
	home := filepath.Join(c.dir, n.name)
	makeDir(t, home)
	n.server = postgres.Config{Dir: filepath.Join(home, "data"), SocketDir: wiretest.SocketDir(t, home), Port: wiretest.FreePort(t)}
	at := fmt.Sprintf("127.0.0.1:%d", n.server.Port)
	type table map[string]any
	text, err := json.Marshal(table{ // which is YAML, too
		"scope": "howdah", "name": n.name, "etcd3": table{"host": etcd},
		"restapi": table{
			"listen": listen, "connect_address": listen,
			"authentication": table{"username": "howdah", "password": apiPassword},
		},
		"bootstrap": table{
			"dcs": table{ // ttl 20 is the least that Patroni takes
				"ttl": 20, "loop_wait": 1, "retry_timeout": 3, "postgresql": table{"use_pg_rewind": true},
			},
			"initdb": []any{table{"encoding": "UTF8"}, table{"locale": "C.UTF-8"}, "data-checksums", "no-sync"},
		},
		"postgresql": table{
			"listen": at, "connect_address": at, "data_dir": n.server.Dir,
			"bin_dir": wiretest.FindPostgres(t).Dir, "pgpass": filepath.Join(home, "pgpass"),
			"authentication": table{
				"superuser":   table{"username": postgres.Superuser, "password": "super"},
				"replication": table{"username": "replicator", "password": "copy"},
			},
			"parameters": table{
				"unix_socket_directories": n.server.SocketDir, "fsync": "off", "full_page_writes": "off", "shared_buffers": "32MB", "autovacuum": "off",
			},
			"basebackup": []any{table{"checkpoint": "fast"}, "no-sync"},
			"pg_hba":     []string{"local all all trust", "host all all 127.0.0.1/32 scram-sha-256", "host replication all 127.0.0.1/32 scram-sha-256"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(n.config, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return n
}

// start runs Patroni, which runs PostgreSQL.
func (n *node) start(t *testing.T) {
	t.Helper()
	n.patroni = startAsServer(t, n.log, syscall.SIGTERM, "patroni", n.config)
}

// kill kills Patroni and PostgreSQL at once.
func (n *node) kill() {
	n.patroni.Signal(syscall.SIGKILL)
	<-n.patroni.Done()
	text, err := os.ReadFile(filepath.Join(n.server.Dir, "postmaster.pid"))
	if err != nil {
		return
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		return
	}
	if at, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid)); err != nil || at != n.server.Dir {
		return // it is another process by now
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
	for range 500 { // its children end by themselves
		if syscall.Kill(pid, 0) != nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// renew starts a node that was killed, as one that has no data yet.
func (n *node) renew(t *testing.T) {
	t.Helper()
	if err := os.RemoveAll(n.server.Dir); err != nil {
		t.Fatal(err)
	}
	n.start(t)
}

// open returns the node's PostgreSQL, to ask it things.
func (n *node) open(t *testing.T) *postgres.Server {
	t.Helper()
	s, err := postgres.Open(wiretest.FindPostgres(t), n.server)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// leader returns the node that leads, and the other.
func (c *trio) leader(t *testing.T) (leader, other *node) {
	t.Helper()
	if c.roles()["leader"] == c.nodes[1].name {
		return c.nodes[1], c.nodes[0]
	}
	return c.nodes[0], c.nodes[1]
}

// roles returns the names of members by their role, of those that run.
func (c *trio) roles() map[string]string {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	for _, n := range c.nodes {
		if n == nil {
			continue
		}
		request, _ := http.NewRequestWithContext(ctx, http.MethodGet, n.api+"/cluster", nil)
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			continue
		}
		var cluster struct {
			Members []struct{ Name, Role, State string }
		}
		err = json.NewDecoder(answer.Body).Decode(&cluster)
		answer.Body.Close()
		if err != nil {
			continue
		}
		roles := map[string]string{}
		for _, m := range cluster.Members {
			if m.State == "running" || m.State == "streaming" {
				roles[m.Role] = m.Name
			}
		}
		return roles
	}
	return nil
}

// await waits until the members' roles are as wanted.
func (c *trio) await(t *testing.T, what string, wanted func(roles map[string]string) bool) {
	t.Helper()
	for end := time.Now().Add(90 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if wanted(c.roles()) {
			return
		}
	}
	t.Fatalf("not within 90 s: %s; there is %v", what, c.roles())
}

// switchover has the leader hand over to the other, and returns once it has.
func (c *trio) switchover(t *testing.T, leader, other *node) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	body, _ := json.Marshal(map[string]string{"leader": leader.name, "candidate": other.name})
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, leader.api+"/switchover", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if text, _ := io.ReadAll(answer.Body); answer.StatusCode != http.StatusOK {
		t.Fatalf("switchover: %s: %s", answer.Status, text)
	}
}

// serverUser is whom servers run as: not root.
func serverUser(t *testing.T) *syscall.Credential {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.ParseUint(u.Uid, 10, 32)
	gid, _ := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// makeDir makes a folder that belongs to serverUser.
func makeDir(t *testing.T, dir string) {
	t.Helper()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if who := serverUser(t); who != nil {
		if err := os.Chown(dir, int(who.Uid), int(who.Gid)); err != nil {
			t.Fatal(err)
		}
	}
}

// startAsServer starts a program as serverUser. It is killed with the test, or
// gets a signal when the test dies.
func startAsServer(t *testing.T, log string, onDeath syscall.Signal, program string, args ...string) *postgres.Child {
	t.Helper()
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command(program, args...) //nolint:noctx // it is killed with the test
	cmd.Stdout, cmd.Stderr, cmd.Dir = out, out, "/"
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8", "HOME=/nonexistent"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: serverUser(t)}
	child, err := postgres.StartChild(cmd, onDeath)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		child.Signal(syscall.SIGKILL)
		<-child.Done()
		if text, err := os.ReadFile(log); err == nil && t.Failed() {
			t.Logf("end of %s:\n%s", filepath.Base(log), text[max(0, len(text)-3000):])
		}
	})
	return child
}
