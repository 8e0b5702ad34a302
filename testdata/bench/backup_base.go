package main

import (
	"context"
	"path/filepath"

	"howdah/wire/postgres"
)

// runBase measures base backups into a store on the same disk.
func (b *bench) runBase(ctx context.Context, p *backupPlane) error {
	config, err := p.begun(ctx, "base")
	if err != nil {
		return err
	}
	defer p.dropSlot(ctx, howdahSlot)
	serve, err := p.caughtUp(ctx, config)
	if err != nil {
		return err
	}
	defer serve.stop()
	tar := b.report.add("base backup, MB/s, beside pg_basebackup -Ft --compress=client-zstd:1", ratioAtLeast(0.9))
	rest := b.report.add("base backup, MB/s, beside pgBackRest backup, one process", ratioAtLeast(1))
	cpu := b.report.add("– CPU of the program alone, s", target{})
	memory := b.report.add("– its memory, MB", aloneAtMost(300))
	for i := range b.pairs + 1 {
		dir, err := p.fresh("tar")
		if err != nil {
			return err
		}
		u, _, err := p.measure(ctx, p.programs.postgres.Path("pg_basebackup"), "-Ft", "--compress=client-zstd:1", "-X", "none", "-c", "fast",
			"-D", filepath.Join(dir, "b"), "-d", p.url(postgres.Superuser))
		if err != nil {
			return err
		}
		command, err := p.pgBackRest(ctx, "rest")
		if err != nil {
			return err
		}
		var v spent
		if command != nil {
			if v, _, err = p.measure(ctx, append(command, "--type=full", "backup")...); err != nil {
				return err
			}
		}
		w, _, err := p.measure(ctx, p.binary, "backup", "now", "-c", config)
		if err != nil {
			return serve.explain(err)
		}
		b.say("base backup %d of %d: %.0f MB in %.1f s, pg_basebackup %.1f s, pgBackRest %.1f s", i, b.pairs, p.size, w.seconds, u.seconds, v.seconds)
		if i == 0 {
			continue // all of it was not in memory yet
		}
		tar.sample(bouncer, p.size/u.seconds)
		tar.sample(howdah, p.size/w.seconds)
		cpu.sample(howdah, w.cpu)
		memory.sample(howdah, w.memory)
		if command != nil {
			rest.sample(bouncer, p.size/v.seconds)
			rest.sample(howdah, p.size/w.seconds)
			cpu.sample(bouncer, v.cpu)
			memory.sample(bouncer, v.memory)
		}
	}
	return nil
}
