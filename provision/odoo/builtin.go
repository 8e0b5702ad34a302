package odoo

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// statement neutralises something of a module where tables have the columns that it
// needs, and not those that it must not have.
type statement struct {
	module       string // whose own data does it too
	needs, lacks string // "table.column table.column"
	sql          string
}

// noMail is the mail server that is left, which leads nowhere: without any Odoo would send
// by the one of its command line. The name is the one that Odoo gives it.
const noMail = "neutralization - disable emails"

// builtIn is for modules without data of their own: Odoo before 16, or whose files are not
// here. Tables and columns are of Odoo 12 to 19.
var builtIn = []statement{
	{
		"base", "ir_mail_server.active ir_mail_server.name ir_mail_server.smtp_host", "",
		"update ir_mail_server set active = (name = '" + noMail + "' and smtp_host = 'invalid')",
	},
	{
		"base", "ir_mail_server.active ir_mail_server.smtp_authentication", "",
		`insert into ir_mail_server (name, smtp_host, smtp_port, smtp_encryption, smtp_authentication, active)
		select '` + noMail + `', 'invalid', 1025, 'none', 'login', true where not exists (select from ir_mail_server where active)`,
	},
	{
		"base", "ir_mail_server.active ir_mail_server.name", "ir_mail_server.smtp_authentication",
		`insert into ir_mail_server (name, smtp_host, smtp_port, smtp_encryption, active)
		select '` + noMail + `', 'invalid', 1025, 'none', true where not exists (select from ir_mail_server where active)`,
	},
	{
		"base", "ir_cron.active ir_model_data.module ir_model_data.res_id", "",
		`update ir_cron c set active = false where not exists (select from ir_model_data d
		where d.res_id = c.id and d.model = 'ir.cron' and d.module = 'base' and d.name = 'autovacuum_job')`,
	},
	{
		"base", "ir_act_server.webhook_url ir_act_server.state", "",
		"update ir_act_server set webhook_url = 'neutralization - disable webhook' where state = 'webhook'",
	},
	{
		"base", "ir_config_parameter.value", "",
		"update ir_config_parameter set value = 'true' where key = 'database.is_neutralized'",
	},
	{
		"base", "ir_config_parameter.value", "ir_config_parameter.type",
		`insert into ir_config_parameter (key, value) select 'database.is_neutralized', 'true'
		where not exists (select from ir_config_parameter where key = 'database.is_neutralized')`,
	},
	{
		"base", "ir_config_parameter.value ir_config_parameter.type", "",
		`insert into ir_config_parameter (key, value, type) select 'database.is_neutralized', 'true', 'str'
		where not exists (select from ir_config_parameter where key = 'database.is_neutralized')`,
	},
	{"web", "ir_ui_view.active ir_ui_view.key", "", "update ir_ui_view set active = true where key = 'web.neutralize_banner'"},
	{"website", "ir_ui_view.active ir_ui_view.key", "", "update ir_ui_view set active = true where key = 'website.neutralize_ribbon'"},
	{"website", "website.domain", "", "update website set domain = null"},
	{"website", "website.cdn_activated", "", "update website set cdn_activated = false"},
	{"website", "website.robots_txt", "", `update website set robots_txt = E'User-agent: *\nDisallow: /'`},
	{"mail", "mail_template.mail_server_id", "", "update mail_template set mail_server_id = null"},
	{"mail", "ir_config_parameter.value", "", "delete from ir_config_parameter where key in ('mail.web_push_vapid_private_key', 'mail.web_push_vapid_public_key')"},
	{"mail", "mail_push_device.id", "", "delete from mail_push_device"},
	{"mail", "mail_partner_device.id", "", "delete from mail_partner_device"},
	{"fetchmail", "fetchmail_server.active", "", "update fetchmail_server set active = false"},
	{"payment", "payment_provider.state", "", "update payment_provider set state = 'disabled' where state not in ('test', 'disabled')"},
	{"payment", "payment_provider.is_live", "", "update payment_provider set is_live = false"},
	{"payment", "payment_acquirer.state", "", "update payment_acquirer set state = 'disabled' where state not in ('test', 'disabled')"},
	{"payment", "payment_acquirer.environment", "", "update payment_acquirer set environment = 'test'"},
	{"delivery", "delivery_carrier.prod_environment", "", "update delivery_carrier set prod_environment = false"},
	{"iap", "iap_account.account_token", "", `update iap_account set account_token = regexp_replace(account_token, '(\+.*)?$', '+disabled')`},
	{"auth_oauth", "auth_oauth_provider.enabled", "", "update auth_oauth_provider set enabled = false"},
	{"account_edi_proxy_client", "account_edi_proxy_client_user.active", "", "update account_edi_proxy_client_user set active = false"},
	{
		"google_calendar", "res_users_settings.google_calendar_token res_users_settings.google_calendar_rtoken", "",
		"update res_users_settings set google_calendar_token = null, google_calendar_rtoken = null",
	},
	{
		"google_calendar", "res_users.google_calendar_token res_users.google_calendar_rtoken", "",
		"update res_users set google_calendar_token = null, google_calendar_rtoken = null where google_calendar_token is not null or google_calendar_rtoken is not null",
	},
	{
		"microsoft_calendar", "res_users.microsoft_calendar_token res_users.microsoft_calendar_rtoken", "",
		"update res_users set microsoft_calendar_token = null, microsoft_calendar_rtoken = null where microsoft_calendar_token is not null or microsoft_calendar_rtoken is not null",
	},
	{"whatsapp", "whatsapp_account.active", "", "update whatsapp_account set active = false"},
}

// builtIn runs what fits the database, but for modules whose own data does it.
func (r *Report) builtIn(ctx context.Context, tx pgx.Tx) error {
	has, err := columns(ctx, tx)
	if err != nil {
		return err
	}
	for _, s := range builtIn {
		if slices.Contains(r.Modules, s.module) || !s.fits(has) {
			continue
		}
		if _, err := tx.Exec(ctx, s.sql); err != nil {
			return fmt.Errorf("built in for module %q: %w", s.module, err)
		}
		r.BuiltIn++
	}
	return nil
}

func (s *statement) fits(has map[string]bool) bool {
	for _, column := range strings.Fields(s.needs) {
		if !has[column] {
			return false
		}
	}
	return !has[s.lacks]
}

// columns returns those of the tables that the built-in list is about.
func columns(ctx context.Context, tx pgx.Tx) (has map[string]bool, err error) {
	var tables []string
	for _, s := range builtIn {
		for _, column := range strings.Fields(s.needs) {
			table, _, _ := strings.Cut(column, ".")
			tables = append(tables, table)
		}
	}
	rows, err := tx.Query(ctx, `select c.relname || '.' || a.attname from pg_class c join pg_attribute a on a.attrelid = c.oid
		where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and c.relname = any ($1) and a.attnum > 0 and not a.attisdropped`, tables)
	if err != nil {
		return nil, err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	has = map[string]bool{}
	for _, name := range names {
		has[name] = true
	}
	return has, err
}
