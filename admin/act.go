package admin

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"howdah/router"
	"howdah/tenants/catalog"
	"howdah/wire"
)

// codeConfigFileError is PostgreSQL's SQLSTATE for a configuration that cannot
// be used.
const codeConfigFileError = "F0000"

func wrongState(format string, args ...any) error {
	return &wire.Error{Code: wire.CodeObjectNotInState, Message: fmt.Sprintf(format, args...)}
}

func cannot(what string) error {
	return &wire.Error{Code: wire.CodeFeatureNotSupported, Message: what + " is not available in this process"}
}

// kindPooler is what the audit log calls what was done to this process, and no entry of
// the catalog's.
const kindPooler catalog.Kind = "pooler"

// log notes who changed what, in the audit log too if there is one. What an operator does
// to the pooler must not wait for a catalog that is away: then only the log has it.
func (s *session) log(command, arg string, err error) {
	if f, away := s.console.theFleet(); away == nil {
		ctx, cancel := context.WithTimeout(context.Background(), catalogPatience)
		defer cancel()
		details := catalog.Settings{}
		if err != nil {
			details["error"] = err.Error()
		}
		failed := f.Catalog.Change(ctx, s.actor(), func(tx *catalog.Tx) error {
			return tx.Audit(strings.ToLower(command), kindPooler, arg, details)
		})
		if failed != nil && s.console.Log != nil {
			s.console.Log.Warn("console command is not in the audit log", "command", command, "error", failed)
		}
	}
	if s.console.Log == nil {
		return
	}
	args := []any{"command", command, "user", s.login.User, "client", s.conn.RemoteAddr().String()}
	if arg != "" {
		args = append(args, "argument", arg)
	}
	if err != nil {
		args = append(args, "error", err)
	}
	s.console.Log.Info("console command", args...)
}

// set runs SET key = value for an admin.
func (s *session) set(key, value string) error {
	if s.console.SetSetting == nil {
		return &wire.Error{
			Code:    wire.CodeFeatureNotSupported,
			Message: fmt.Sprintf("cannot set %q in the console", key),
			Hint:    "Change the configuration file, then RELOAD.",
		}
	}
	err := s.console.SetSetting(key, value)
	if err != nil {
		s.log("SET", key, err) // not the value: settings that cannot be set here may be secrets
		return &wire.Error{Code: wire.CodeInvalidParameter, Message: "SET failed", Detail: err.Error()}
	}
	s.log("SET", key+"="+value, nil)
	s.complete("SET " + key + "=" + value)
	return nil
}

func reload(_ context.Context, s *session, _ string) error {
	if s.console.Reload == nil {
		return cannot("RELOAD")
	}
	err := s.console.Reload()
	s.log("RELOAD", "", err)
	if err != nil {
		return &wire.Error{
			Code: codeConfigFileError, Message: "RELOAD failed, the old configuration is kept", Detail: err.Error(),
		}
	}
	return nil
}

func killClient(_ context.Context, s *session, arg string) error {
	id, err := strconv.ParseInt(arg, 10, 64)
	if err != nil {
		return &wire.Error{
			Code: wire.CodeInvalidParameter, Message: "invalid client pointer supplied",
			Hint: "Give a number from the column id of SHOW CLIENTS.",
		}
	}
	switch {
	case id == 0:
		err = router.ErrNotFound
	case id == s.id:
		// Its own session: closed here, it could not be told that it worked.
		return wrongState("cannot kill this console itself")
	case id < 0:
		if !s.console.kill(id) {
			err = router.ErrNotFound
		}
	default:
		err = s.console.KillClient(uint64(id))
	}
	if errors.Is(err, router.ErrNotFound) {
		err = &wire.Error{Code: wire.CodeInvalidParameter, Message: "client not found"}
	}
	s.log("KILL_CLIENT", arg, err)
	return err
}

func shutdown(_ context.Context, s *session, arg string) error {
	mode := ShutdownMode(strings.ToUpper(arg))
	switch mode {
	case ShutdownNow, ShutdownWaitForServers, ShutdownWaitForClients:
	default:
		return invalid("SHUTDOWN " + arg)
	}
	if s.console.Shutdown == nil {
		return cannot("SHUTDOWN")
	}
	s.log("SHUTDOWN", arg, nil)
	s.console.Shutdown(mode)
	return nil
}
