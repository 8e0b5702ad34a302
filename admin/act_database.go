package admin

import (
	"context"
	"errors"
	"fmt"

	"howdah/router"
	"howdah/wire"
)

// What PgBouncer calls what cannot be done to the console's own database.
const (
	verbPause     = "pause"
	verbKill      = "kill"
	verbReconnect = "reconnect"
	verbDisable   = "disable"
	verbEnable    = "enable"
	verbWait      = "wait in"
)

// pause waits as long as transactions do. The client may end that by a
// CancelRequest (Ctrl-C in psql), which undoes the pause.
func pause(ctx context.Context, s *session, database string) error {
	if isConsole(database) {
		return notTheConsole(verbPause, database)
	}
	err := s.console.Pause(ctx, database)
	if interrupted(ctx, err) {
		err = s.undo("PAUSE", database)
	}
	return s.answer("PAUSE", database, err)
}

// suspend waits for what clients take their time to read. It is undone as pause
// is.
func suspend(ctx context.Context, s *session, _ string) error {
	err := s.console.Suspend(ctx)
	if interrupted(ctx, err) {
		err = s.undo("SUSPEND", "")
	}
	return s.answer("SUSPEND", "", err)
}

// undo resumes what the client did not want to wait for.
func (s *session) undo(command, database string) error {
	if err := s.console.Resume(database); err != nil {
		return fmt.Errorf("resume after a canceled %s: %w", command, err)
	}
	return &wire.Error{Code: wire.CodeQueryCanceled, Message: command + " canceled, everything runs again"}
}

// interrupted reports whether a command was cut short by its client.
func interrupted(ctx context.Context, err error) bool {
	return errors.Is(err, context.Canceled) && errors.Is(context.Cause(ctx), errInterrupted)
}

func resume(_ context.Context, s *session, database string) error {
	err := s.console.Resume(database)
	switch {
	case errors.Is(err, router.ErrNotPaused) && database == "":
		err = wrongState("pooler is not paused/suspended")
	case errors.Is(err, router.ErrNotPaused), isConsole(database):
		err = wrongState("database %s is not paused", database)
	}
	return s.answer("RESUME", database, err)
}

func kill(_ context.Context, s *session, database string) error {
	if isConsole(database) {
		return notTheConsole(verbKill, database)
	}
	return s.answer("KILL", database, s.console.Kill(database))
}

func reconnect(_ context.Context, s *session, database string) error {
	if isConsole(database) {
		return notTheConsole(verbReconnect, database)
	}
	return s.answer("RECONNECT", database, s.console.Reconnect(database))
}

// waitClose waits as long as transactions do; a CancelRequest ends that.
func waitClose(ctx context.Context, s *session, database string) error {
	if isConsole(database) {
		return notTheConsole(verbWait, database)
	}
	err := s.console.WaitClose(ctx, database)
	if interrupted(ctx, err) {
		return &wire.Error{Code: wire.CodeQueryCanceled, Message: "WAIT_CLOSE canceled"}
	}
	return s.answer("WAIT_CLOSE", database, err)
}

func disable(_ context.Context, s *session, database string) error {
	return s.switchDatabase("DISABLE", verbDisable, database, true)
}

func enable(_ context.Context, s *session, database string) error {
	return s.switchDatabase("ENABLE", verbEnable, database, false)
}

func (s *session) switchDatabase(command, verb, database string, disabled bool) error {
	switch {
	case database == "":
		return wrongState("a database is required")
	case isConsole(database):
		return notTheConsole(verb, database)
	}
	return s.answer(command, database, s.console.Disable(database, disabled))
}

// answer notes a command in the log and puts the router's errors into
// PgBouncer's words.
func (s *session) answer(command, database string, err error) error {
	s.log(command, database, err)
	switch {
	case errors.Is(err, router.ErrNotFound):
		return &wire.Error{Code: wire.CodeInvalidCatalogName, Message: "no such database: " + database}
	case errors.Is(err, router.ErrPaused):
		return wrongState("already suspended/paused")
	case errors.Is(err, router.ErrDatabasesPaused):
		return wrongState("cannot suspend with paused databases")
	case errors.Is(err, router.ErrShuttingDown):
		return wrongState("pooler is shutting down")
	}
	return err
}

func notTheConsole(verb, database string) error {
	return wrongState("cannot %s admin db: %s", verb, database)
}

func isConsole(database string) bool {
	return database == DatabaseHowdah || database == DatabasePgBouncer
}
