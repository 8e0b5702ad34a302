-- What matters here of a database of Odoo 14, where some tables and columns were others.
create table ir_module_module (id serial primary key, name text, state text, latest_version text);
insert into ir_module_module (name, state, latest_version) values ('base', 'installed', '14.0.1.3');
create table ir_config_parameter (id serial primary key, key text not null unique, value text not null);
insert into ir_config_parameter (key, value) values ('database.uuid', 'old');
create table ir_model_data (id serial primary key, module text, name text, model text, res_id int);
create table ir_cron (id serial primary key, active boolean);
insert into ir_cron (active) values (true);
create table ir_mail_server (id serial primary key, name text not null, smtp_host text not null, smtp_port int not null, smtp_encryption text not null, active boolean);
insert into ir_mail_server (name, smtp_host, smtp_port, smtp_encryption, active) values ('real', 'smtp.example', 25, 'none', true);
create table payment_acquirer (id serial primary key, state text);
insert into payment_acquirer (state) values ('enabled'), ('test');
create table fetchmail_server (id serial primary key, active boolean);
insert into fetchmail_server (active) values (true);
