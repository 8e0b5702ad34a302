package odoo

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// renewal gives a copy its own identity, like the force of ir.config_parameter's init:
// by its UUID Odoo's services know a database, and with its secret it signs sessions.
var renewal = []string{
	"update ir_config_parameter set value = gen_random_uuid()::text where key = 'database.secret'",
	"update ir_config_parameter set value = to_char(now() at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS') where key = 'database.create_date'",
	// Odoo sets it when an administrator logs in.
	"update ir_config_parameter set value = 'http://localhost:8069' where key = 'web.base.url'",
}

// settled reports whether a copy is.
func settled(ctx context.Context, tx pgx.Tx, uuid string) (is bool, err error) {
	err = tx.QueryRow(ctx, "select exists (select from ir_config_parameter where key = 'database.uuid' and value = $1)", uuid).Scan(&is)
	return is, err
}

// renew is the last that is done to a copy: where a module's data has committed what it
// should not, the copy is not taken for one that is settled.
func renew(ctx context.Context, tx pgx.Tx, uuid string) error {
	for _, sql := range renewal {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return err
		}
	}
	tag, err := tx.Exec(ctx, "update ir_config_parameter set value = $1 where key = 'database.uuid'", uuid)
	if err == nil && tag.RowsAffected() == 0 {
		_, err = tx.Exec(ctx, "insert into ir_config_parameter (key, value) values ('database.uuid', $1)", uuid)
	}
	return err
}
