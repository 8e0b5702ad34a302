package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"

	"howdah/wire/postgres"
)

// runRestore measures restores of the whole cluster and of one of its tenants.
func (b *bench) runRestore(ctx context.Context, p *backupPlane) error {
	config, err := p.begun(ctx, "restore")
	if err != nil {
		return err
	}
	defer p.dropSlot(ctx, howdahSlot)
	serve, err := p.caughtUp(ctx, config)
	if err != nil {
		return err
	}
	defer serve.stop()
	tarred, err := p.fresh("tarred")
	if err != nil {
		return err
	}
	if _, _, err := p.measure(ctx, p.programs.postgres.Path("pg_basebackup"), "-Ft", "--compress=client-zstd:1", "-X", "none", "-c", "fast",
		"-D", filepath.Join(tarred, "b"), "-d", p.url(postgres.Superuser)); err != nil {
		return err
	}
	if _, err := exec.LookPath("zstd"); err != nil {
		return fmt.Errorf("find zstd: %w: install it with: apt-get install zstd", err)
	}
	cluster := b.report.add("restore of a cluster, MB/s, beside tar with zstd, and sync", ratioAtLeast(0.9))
	memory := b.report.add("– memory, MB", aloneAtMost(300))
	bytes := b.report.add(fmt.Sprintf("restore of one tenant of %d: bytes fetched, of the cluster's", backedUp), aloneAtMost(0.25))
	time := b.report.add("– time, of the cluster's", aloneAtMost(0.5))
	for i := range b.pairs {
		into, err := p.fresh("into")
		if err != nil {
			return err
		}
		unpack := fmt.Sprintf("mkdir %[1]s/tar && tar --use-compress-program=unzstd -xf %[2]s/b/base.tar.zst -C %[1]s/tar && sync -f %[1]s/tar", into, tarred)
		u, _, err := p.measure(ctx, "sh", "-c", unpack)
		if err != nil {
			return err
		}
		whole, fetched, err := p.restore(ctx, config, "--into", filepath.Join(into, "whole"))
		if err != nil {
			return err
		}
		one, oneFetched, err := p.restore(ctx, config, "--into", filepath.Join(into, "one"), "--database", tenantNumber(backedUp/2))
		if err != nil {
			return err
		}
		cluster.sample(bouncer, p.size/u.seconds)
		cluster.sample(howdah, p.size/whole.seconds)
		memory.sample(howdah, max(whole.memory, one.memory))
		bytes.sample(howdah, oneFetched/fetched)
		time.sample(howdah, one.seconds/whole.seconds)
		b.say("restore %d of %d: tar %.1f s, cluster %.1f s, one tenant %.1f s", i+1, b.pairs, u.seconds, whole.seconds, one.seconds)
	}
	return nil
}

// restore restores to the end of what is stored, and returns how many bytes it fetched.
func (p *backupPlane) restore(ctx context.Context, config string, args ...string) (u spent, fetched float64, err error) {
	u, text, err := p.measure(ctx, append([]string{p.binary, "restore", "-c", config, "--json", "--to", "latest"}, args...)...)
	if err != nil {
		return u, 0, err
	}
	var row struct {
		Fetched float64 `json:"fetched_bytes"`
	}
	err = json.Unmarshal([]byte(text), &row)
	return u, row.Fetched, err
}
