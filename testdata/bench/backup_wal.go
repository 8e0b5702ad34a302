package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"howdah/wire/postgres"
)

const (
	keepSlot   = "keep" // what is measured anew begins at its position
	howdahSlot = "howdah"

	begunSuffix = ".begun" // of the store as it was there
)

// runWAL measures how fast WAL that is there already gets into a store.
func (b *bench) runWAL(ctx context.Context, p *backupPlane) error {
	rows := 3000000
	if b.seconds == 1 {
		rows = 300000
	}
	config, err := p.begun(ctx, "wal")
	if err != nil {
		return err
	}
	if err := os.Rename(storeOf(config), storeOf(config)+begunSuffix); err != nil {
		return err
	}
	err = p.server.Exec(ctx, postgres.Superuser, fmt.Sprintf("select pg_copy_physical_replication_slot('%s', '%s')", howdahSlot, keepSlot))
	p.dropSlot(ctx, howdahSlot)
	if err != nil {
		return err
	}
	defer p.dropSlot(ctx, keepSlot)
	err = p.server.Exec(ctx, tenantNumber(0),
		"create table filled (n bigint, m int, filler text)", "create index on filled (n)",
		fmt.Sprintf("insert into filled select g, g %% 100, md5(g::text) from generate_series(1, %d) g", rows),
		"update filled set m = m + 1 where n % 3 = 0", "drop table filled")
	if err != nil {
		return err
	}
	from, err := p.lsn(ctx, "select restart_lsn from pg_replication_slots where slot_name = $1", keepSlot)
	if err != nil {
		return err
	}
	if err := p.server.Exec(ctx, postgres.Superuser, "select pg_switch_wal()"); err != nil {
		return err
	}
	const segment = 16 << 20
	until, err := p.lsn(ctx, "select pg_current_wal_lsn()")
	if err != nil {
		return err
	}
	until -= until % segment
	mega := float64(until-from) / 1e6
	peers := []struct {
		name string
		run  func(context.Context, int64, int64) (spent, error)
	}{
		{"pg_receivewal --compress=lz4", p.receiveBy("lz4")}, {"pg_receivewal --compress=gzip:1", p.receiveBy("gzip:1")}, {"pgBackRest archive-push", p.pushed},
	}
	var perCore, perSecond []*row
	for _, peer := range peers {
		perCore = append(perCore, b.report.add("WAL into a store, MB/s of a core, beside "+peer.name, target{}))
		perSecond = append(perSecond, b.report.add("– MB/s", target{}))
	}
	perCore[0].target = aloneAtLeast(150)
	memory := b.report.add("memory of Howdah meanwhile, MB", aloneAtMost(300))
	for i := range b.pairs {
		u, err := p.receivedByHowdah(ctx, config, until)
		if err != nil {
			return err
		}
		memory.sample(howdah, u.memory)
		for n := range peers {
			perCore[n].sample(howdah, mega/u.cpu)
			perSecond[n].sample(howdah, mega/u.seconds)
			other, err := peers[n].run(ctx, from, until)
			if err != nil {
				return err
			}
			if other.seconds == 0 {
				continue
			}
			perCore[n].sample(bouncer, mega/other.cpu)
			perSecond[n].sample(bouncer, mega/other.seconds)
		}
		b.say("wal %d of %d: %.0f MB", i+1, b.pairs, mega)
	}
	return nil
}

// storeOf is the folder of the store of a configuration.
func storeOf(config string) string { return filepath.Join(filepath.Dir(config), "store") }

// copySlot makes a slot that begins where the kept one does.
func (p *backupPlane) copySlot(ctx context.Context, name string) (drop func(), err error) {
	err = p.server.Exec(ctx, postgres.Superuser, fmt.Sprintf("select pg_copy_physical_replication_slot('%s', '%s')", keepSlot, name))
	return func() { p.dropSlot(ctx, name) }, err
}

// dropSlot drops a slot once nobody uses it any more.
func (p *backupPlane) dropSlot(ctx context.Context, name string) {
	var err error
	for range 100 {
		err = p.server.Exec(context.WithoutCancel(ctx), postgres.Superuser, fmt.Sprintf("select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = '%s'", name))
		if err == nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	p.say("%v", err)
}

// receivedByHowdah is what a Howdah does that goes on where its first base backup left off.
func (p *backupPlane) receivedByHowdah(ctx context.Context, config string, until int64) (u spent, err error) {
	dir := storeOf(config)
	if err := os.RemoveAll(dir); err != nil {
		return u, err
	}
	// Links do: nothing of a store is written twice.
	if _, _, err := p.measure(ctx, "cp", "-al", dir+begunSuffix, dir); err != nil {
		return u, err
	}
	drop, err := p.copySlot(ctx, howdahSlot)
	if err != nil {
		return u, err
	}
	defer drop()
	begun := time.Now()
	serve, err := p.receive(config)
	if err != nil {
		return u, err
	}
	defer serve.stop()
	if err := p.stored(ctx, howdahSlot, until); err != nil {
		return u, serve.explain(err)
	}
	u.seconds = time.Since(begun).Seconds()
	used, err := readCPU(serve.child.PID())
	if err != nil {
		return u, err
	}
	u.cpu = used.total().Seconds()
	u.memory, err = readPeak(serve.child.PID())
	return u, err
}

// receiveBy is pg_receivewal into a folder.
func (p *backupPlane) receiveBy(compress string) func(context.Context, int64, int64) (spent, error) {
	return func(ctx context.Context, _, until int64) (u spent, err error) {
		drop, err := p.copySlot(ctx, "received")
		if err != nil {
			return u, err
		}
		defer drop()
		dir, err := p.fresh("received")
		if err != nil {
			return u, err
		}
		u, _, err = p.measure(ctx, p.programs.postgres.Path("pg_receivewal"), "-D", dir, "-S", "received", "--compress="+compress,
			"--no-loop", "-E", fmt.Sprintf("%X/%X", until>>32, until&0xffffffff), "-d", p.url(postgres.Superuser))
		return u, err
	}
}

// pushed is pgBackRest's archive-push of each segment in turn, as archive_command does.
func (p *backupPlane) pushed(ctx context.Context, from, until int64) (u spent, err error) {
	command, err := p.pgBackRest(ctx, "pushed")
	if err != nil || command == nil {
		return u, err
	}
	files, err := filepath.Glob(filepath.Join(p.server.Dir(), "pg_wal", strings.Repeat("?", 24)))
	if err != nil {
		return u, err
	}
	first, last := segmentName(from), segmentName(until)
	for _, file := range files {
		if name := filepath.Base(file); name < first || name >= last {
			continue
		}
		one, _, err := p.measure(ctx, append(command, "archive-push", file)...)
		if err != nil {
			return u, err
		}
		u.add(one)
	}
	return u, nil
}

// segmentName is that of the file that has a position on the first timeline.
func segmentName(at int64) string {
	return fmt.Sprintf("00000001%08X%08X", at>>32, at&0xffffffff>>24)
}
