package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"howdah/wire/postgres"
)

// standbySlot is the standby's replication slot and its name in SHOW STANDBYS.
const standbySlot = "standby"

// leftoverTime is how long processes of a killed `up` may take to end by
// themselves.
const leftoverTime = 5 * time.Second

func (u *up) serverConfig(dir, log, sockets string, port int) postgres.Config {
	return postgres.Config{
		Dir: dir, SocketDir: sockets, Port: port, Log: u.folder.log(log),
		Settings: map[string]string{
			"wal_level":             "logical",
			"max_wal_senders":       "16",
			"max_replication_slots": "16",
			"max_connections":       "100",
			"hot_standby_feedback":  "on",
			"log_line_prefix":       "%m [%p] %q%u@%d ",
		},
	}
}

func (u *up) primaryConfig(sockets string) postgres.Config {
	return u.serverConfig(u.folder.primary(), "primary", sockets, u.ports.primary)
}

func (u *up) standbyConfig(sockets string) postgres.Config {
	return u.serverConfig(u.folder.standby(), "standby", sockets, u.ports.standby)
}

// clearLeftovers ends what an `up` that was killed left running here. All of it
// has had a parent-death signal, so this is mostly waiting.
func (u *up) clearLeftovers(ctx context.Context, sockets string) error {
	ctx, cancel := context.WithTimeout(ctx, leftoverTime)
	defer cancel()
	if u.serve.stopLeftover(ctx) {
		u.out.say("stopped the Howdah that an earlier `howdah up` left running")
	}
	for _, cfg := range []postgres.Config{u.primaryConfig(sockets), u.standbyConfig(sockets)} {
		if !exists(cfg.Dir) {
			continue
		}
		s, err := postgres.Open(u.binaries, cfg)
		if err != nil {
			return err
		}
		found, err := s.StopLeftover(ctx)
		if err != nil {
			return err
		}
		if found {
			u.out.say("stopped the PostgreSQL server that an earlier `howdah up` left running in %s", cfg.Dir)
		}
	}
	return nil
}

func (u *up) startPrimary(ctx context.Context, sockets string) (err error) {
	cfg := u.primaryConfig(sockets)
	if exists(cfg.Dir) {
		u.primary, err = postgres.Open(u.binaries, cfg)
	} else {
		u.out.say("making a PostgreSQL %d primary in %s", u.binaries.Major, cfg.Dir)
		u.primary, err = postgres.Init(ctx, u.binaries, cfg)
	}
	if err != nil {
		return err
	}
	return u.primary.Start(ctx)
}

// startStandby needs the running primary.
func (u *up) startStandby(ctx context.Context, sockets string) (err error) {
	cfg := u.standbyConfig(sockets)
	if !exists(cfg.Dir) {
		u.out.say("copying it to a standby in %s", cfg.Dir)
		if u.standby, err = postgres.Standby(ctx, u.binaries, u.primary, standbySlot, cfg); err != nil {
			return err
		}
		return u.standby.Start(ctx)
	}
	if u.standby, err = postgres.Open(u.binaries, cfg); err != nil {
		return err
	}
	if err := u.sameSystem(ctx); err != nil {
		return err
	}
	if err := u.standby.Follow(ctx, u.primary, standbySlot); err != nil {
		return err
	}
	return u.standby.Start(ctx)
}

// sameSystem refuses a standby that was copied from another primary: it would
// answer reads from the past of something else.
func (u *up) sameSystem(ctx context.Context) error {
	primary, err := u.primary.SystemID(ctx)
	if err != nil {
		return err
	}
	standby, err := u.standby.SystemID(ctx)
	if err != nil {
		return err
	}
	if primary != standby {
		return fmt.Errorf("%s is not a copy of %s (system identifiers %s and %s): remove it and it is copied anew",
			u.standby.Dir(), u.primary.Dir(), standby, primary)
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, os.ErrNotExist)
}
