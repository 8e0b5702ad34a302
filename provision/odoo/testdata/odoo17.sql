-- What matters here of a database of Odoo 17.
create table ir_module_module (id serial primary key, name text, state text, latest_version text);
insert into ir_module_module (name, state, latest_version) values
  ('base', 'installed', '17.0.1.3'), ('payment', 'installed', '17.0.2.0'), ('sale', 'uninstalled', null), ('mine', 'to upgrade', '17.0.1.0');
create table ir_config_parameter (id serial primary key, key text not null unique, value text not null);
insert into ir_config_parameter (key, value) values ('database.uuid', 'old'), ('database.secret', 'old'), ('database.create_date', 'old'),
  ('web.base.url', 'https://shop.example'), ('mail.web_push_vapid_private_key', 'secret'), ('mine', 'stays');
create table ir_model_data (id serial primary key, module text, name text, model text, res_id int);
insert into ir_model_data (module, name, model, res_id) values ('base', 'autovacuum_job', 'ir.cron', 2), ('mine', 'autovacuum_job', 'ir.cron', 3), ('base', 'broken', 'ir.cron', null);
create table ir_cron (id serial primary key, active boolean);
insert into ir_cron (active) values (true), (true), (true), (false);
create table ir_mail_server (id serial primary key, name text not null, smtp_host text not null, smtp_port int, smtp_encryption text not null, smtp_authentication text not null, active boolean);
insert into ir_mail_server (name, smtp_host, smtp_port, smtp_encryption, smtp_authentication, active) values ('real', 'smtp.example', 25, 'none', 'login', true);
create table ir_act_server (id serial primary key, state text, webhook_url text);
insert into ir_act_server (state, webhook_url) values ('webhook', 'https://hook.example'), ('code', null);
create table ir_ui_view (id serial primary key, key text, active boolean);
insert into ir_ui_view (key, active) values ('web.neutralize_banner', false), ('website.neutralize_ribbon', false), ('mine', false);
create table website (id serial primary key, domain text, cdn_activated boolean, robots_txt text);
insert into website (domain, cdn_activated) values ('https://shop.example', true);
create table mail_template (id serial primary key, mail_server_id int);
insert into mail_template (mail_server_id) values (1);
create table fetchmail_server (id serial primary key, active boolean);
insert into fetchmail_server (active) values (true);
create table payment_provider (id serial primary key, code text, state text);
insert into payment_provider (code, state) values ('stripe', 'enabled'), ('demo', 'test'), ('adyen', 'disabled');
create table delivery_carrier (id serial primary key, prod_environment boolean);
insert into delivery_carrier (prod_environment) values (true);
create table iap_account (id serial primary key, account_token text);
insert into iap_account (account_token) values ('token'), ('other+disabled'), (null);
create table auth_oauth_provider (id serial primary key, enabled boolean);
insert into auth_oauth_provider (enabled) values (true);
create table res_partner (id serial primary key, name text);
insert into res_partner (name) values ('a customer');
