package admin

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"

	"howdah/wire"
)

// maxEcho bounds how much of a wrong command its error repeats, in bytes.
const maxEcho = 200

// Command is a row of the table of everything the console can do.
type Command struct {
	Name  string // in upper case: "PAUSE", "SHOW POOLS"
	Usage string // in SHOW HELP; "" = not shown there
	Stats bool   // stats users may give it too; admins may give every command

	argument argument
	run      func(ctx context.Context, s *session, arg string) error
	operate  func(ctx context.Context, o *operating) error // in the place of run, for what the catalog is needed for
}

// NeedsCatalog reports whether the command is an error where there is no catalog.
func (c Command) NeedsCatalog() bool { return c.operate != nil }

// argument says what may follow a command's name.
type argument uint8

const (
	argumentNone argument = iota
	argumentOptional
)

// Commands returns the table. SET is in it under that name; settings that
// drivers set without being asked to (client_encoding and the like) are ignored
// for every role.
func Commands() []Command {
	table := []Command{
		{Name: "SHOW HELP", Usage: "SHOW HELP", Stats: true, run: showHelp},
	}
	for _, v := range views() {
		table = append(table, v.command())
	}
	for _, p := range driverParameters() {
		table = append(table, parameterView(p).command())
	}
	table = append(table, tenantCommands()...)
	table = append(table, catalogViews()...)
	table = append(table, operations()...)
	return append(table,
		Command{Name: "SET", Usage: "SET key = value"},
		Command{Name: "RELOAD", Usage: "RELOAD", run: reload},
		Command{Name: "PAUSE", Usage: "PAUSE [db]", argument: argumentOptional, run: pause},
		Command{Name: "RESUME", Usage: "RESUME [db]", argument: argumentOptional, run: resume},
		// Without an argument these two and KILL_CLIENT say themselves what is missing.
		Command{Name: "DISABLE", Usage: "DISABLE db", argument: argumentOptional, run: disable},
		Command{Name: "ENABLE", Usage: "ENABLE db", argument: argumentOptional, run: enable},
		Command{Name: "RECONNECT", Usage: "RECONNECT [db]", argument: argumentOptional, run: reconnect},
		Command{Name: "KILL", Usage: "KILL [db]", argument: argumentOptional, run: kill},
		Command{Name: "KILL_CLIENT", Usage: "KILL_CLIENT id", argument: argumentOptional, run: killClient},
		Command{Name: "SUSPEND", Usage: "SUSPEND", run: suspend},
		Command{
			Name: "SHUTDOWN", Usage: "SHUTDOWN [WAIT_FOR_SERVERS | WAIT_FOR_CLIENTS]",
			argument: argumentOptional, run: shutdown,
		},
		Command{Name: "WAIT_CLOSE", Usage: "WAIT_CLOSE [db]", argument: argumentOptional, run: waitClose},
	)
}

// run executes a Query's text.
func (s *session) run(ctx context.Context, text string) error {
	st, err := parse(text)
	switch {
	case err != nil && isOperation(st.verb):
		return badOperation(st.verb) // not with its text: it may have a password in it
	case err != nil:
		return invalid(text)
	}
	if st.verb == "" {
		s.backend.Send(&pgproto3.EmptyQueryResponse{})
		return nil
	}
	cmd, arg, ok := find(st)
	if !ok {
		return invalid(text)
	}
	if cmd.Name == "SET" && isDriverParameter(st.argument) {
		s.notice("SET ignored", "")
		s.complete("SET")
		return nil
	}
	if s.role != RoleAdmin && !(cmd.Stats && s.role == RoleStats) {
		return &wire.Error{Code: wire.CodeInsufficientPrivilege, Message: "admin access needed"}
	}
	if cmd.Name == "SET" {
		return s.set(st.argument, st.value)
	}
	if cmd.argument == argumentNone && arg != "" {
		return invalid(text)
	}
	if cmd.operate != nil {
		err = s.operate(ctx, &cmd, st.words, arg)
	} else {
		err = cmd.run(ctx, s, arg)
	}
	if err != nil {
		return err
	}
	s.complete(cmd.tag())
	return nil
}

// tag is what CommandComplete says: the verb, as PgBouncer has it, and all of an
// operation's name, as PostgreSQL has it.
func (c *Command) tag() string {
	if isOperation(c.Name) {
		return c.Name
	}
	tag, _, _ := strings.Cut(c.Name, " ")
	return tag
}

// find looks a statement up in the table and returns the command's own argument.
func find(st statement) (cmd Command, arg string, ok bool) {
	name, arg := st.verb, st.argument
	if name == "SHOW" || name == "SELECT" {
		name, arg = "SHOW "+strings.ToUpper(st.argument), st.value
	}
	for _, cmd := range Commands() {
		if cmd.Name == name {
			return cmd, arg, true
		}
	}
	return Command{}, "", false
}

func invalid(text string) error {
	if len(text) > maxEcho {
		text = text[:maxEcho] + "..."
	}
	return &wire.Error{
		Code:    wire.CodeSyntaxError,
		Message: fmt.Sprintf("invalid command '%s', use SHOW HELP;", text),
		Hint:    "SHOW HELP lists the commands; a query holds one of them.",
	}
}

// showHelp says its rows in a notice, as PgBouncer does.
func showHelp(_ context.Context, s *session, _ string) error {
	var text strings.Builder
	for _, c := range Commands() {
		if c.Usage != "" {
			text.WriteString("\n\t" + c.Usage)
		}
	}
	s.notice("Console usage", text.String())
	return nil
}
